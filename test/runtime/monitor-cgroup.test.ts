import { describe, expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { keepMovesQuick } from '../../src/runtime/monitor-cgroup.ts';

const cgroup = { version: 1, controllers: ['pids'], folder: '/cg/web.monitor' } as const;

/** A host that notes what is written, and calls `onSleep` for each pause. */
function hostWith(written: string[], onSleep: () => void = () => undefined): Host {
  return {
    writeInPlace: async (file: string, text: string) => void written.push(`${file} ${text}`),
    sleep: async () => onSleep(),
  } as unknown as Host;
}

describe('the monitor changes its cgroup while the runtime creates a process', () => {
  it('again and again, from when it has a pid until that is done', async () => {
    const written: string[] = [];
    let [pauses, finish] = [0, (): void => undefined];
    const created = new Promise<void>((resolve) => (finish = resolve));
    const host = hostWith(written, () => {
      pauses += 1;
      if (pauses === 4) finish();
    });
    await keepMovesQuick(host, cgroup, async () => (pauses < 2 ? undefined : 77), created);
    expect(written).toEqual(['/cg/web.monitor/cgroup.procs 77', '/cg/web.monitor/cgroup.procs 77']);
  });

  it('until it has failed, too', async () => {
    const written: string[] = [];
    await keepMovesQuick(hostWith(written), cgroup, async () => 77, Promise.reject(new Error('refused')));
    expect(written.length).toBeLessThan(3);
  });

  it('but not for ever', async () => {
    const written: string[] = [];
    await keepMovesQuick(hostWith(written), cgroup, async () => 77, new Promise(() => undefined));
    expect(written).toHaveLength(125);
  });
});

// Namespaces that a spec names by paths: what is there by now is compared with what the process was put into.
import { describe, expect, it } from 'vitest';
import { drift, find, identify, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';
import type { Started } from '../support/test-host.ts';

/** By the words of the spec, what unshare(1) and /proc call them. */
const TYPES = { pid: 'pid', network: 'net', ipc: 'ipc', uts: 'uts', cgroup: 'cgroup' };

describe.skipIf(!requireSystem())('a namespace at a path', () => {
  // The folder of names stays with its first name.
  const getHost = shareHost({
    prepare: (host) => host.output(['sh', '-ec', 'ip netns add named; ip netns del named']),
  });
  const spec = (keys: SpecKeys): SpecKeys => ({ process: { args: WAIT, stopTimeout: '0s' }, ...keys });
  const namespaceOf = async (type: string, name: string): Promise<string> => {
    const { pid } = await find(getHost(), name);
    return (await getHost().output(['readlink', `/proc/${pid}/ns/${type}`])).trim();
  };
  const sh = (script: string, ...args: readonly string[]): Promise<string> =>
    getHost().output(['sh', '-ec', script, 'sh', ...args]);

  it('that is made anew under its name is joined by a new process, and by those that join that', async () => {
    const host = getHost();
    await sh('ip netns add named');
    const web = writeSpec(host, 'web', spec({ namespaces: { network: '/run/netns/named' } }));
    const join = { network: `container:${web.name}` };
    const beside = writeSpec(host, 'beside', spec({ namespaces: join }));
    await succeed(host, 'apply', web.file, beside.file);
    const [before, former] = [await identify(host, web.name), await namespaceOf('net', web.name)];
    expect(await pending(host, web.file)).toEqual([]);
    await sh('ip netns del named');
    const gone = await host.runspec('status', web.name);
    expect(gone.status).toBe(3);
    expect(gone.stdout).toContain(`network namespace at /run/netns/named: none there, not ${former}\n`);
    for (const script of ['true', '>/run/netns/named']) {
      await sh(script);
      const { status, stderr } = await host.runspec('apply', web.file);
      expect(status).toBe(2);
      expect(stderr).toContain('there is no namespace at /run/netns/named\n');
      expect(await identify(host, web.name)).toBe(before);
    }
    await sh('rm /run/netns/named; ip netns add named');
    expect(await drift(host, web.name)).toEqual(['bundle drifted']);
    expect((await host.runspec('plan', web.file)).stdout).toMatch(
      /network namespace at \/run\/netns\/named: net:\[\d+\] -> net:\[\d+\]\n/,
    );
    await succeed(host, 'apply', beside.file, web.file);
    expect(await namespaceOf('net', web.name)).not.toBe(former);
    expect(await namespaceOf('net', beside.name)).toBe(await namespaceOf('net', web.name));
    for (const { file } of [web, beside]) expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--all');
    await sh('ip netns del named');
  });

  it('is another one by now, whatever its type', async () => {
    const host = getHost();
    const files = Object.values(TYPES).map((type) => `/run/held/${type}`);
    // A process namespace lives as long as its first process.
    const makeAll = async (): Promise<Started> => {
      await sh('mkdir -p /run/held; for file; do umount "$file" 2>/dev/null || : >"$file"; done', ...files);
      const [pid = '', ...others] = Object.values(TYPES).map((type) => `--${type}=/run/held/${type}`);
      await host.output(['unshare', ...others, 'true']);
      const first = await host.start(['unshare', pid, '--fork', '--kill-child', 'sleep', '1000']);
      await expect
        .poll(() => host.exec(['mountpoint', '-q', '/run/held/pid']), { timeout: 10_000 })
        .toMatchObject({ status: 0 });
      return first;
    };
    const first = await makeAll();
    const paths = Object.entries(TYPES).map(([word, type]) => [word, `/run/held/${type}`]);
    const { name, file } = writeSpec(host, 'typed', spec({ namespaces: Object.fromEntries(paths) }));
    await succeed(host, 'apply', file);
    const before = await identify(host, name);
    const expectThere = async (): Promise<void> => {
      const inodes = (await host.output(['stat', '-c', '%i', ...files])).trim().split('\n');
      for (const [index, type] of Object.values(TYPES).entries())
        expect(await namespaceOf(type, name)).toBe(`${type}:[${inodes[index]}]`);
      expect(await pending(host, file)).toEqual([]);
    };
    await expectThere();
    const second = await makeAll();
    const { stdout } = await host.runspec('status', name);
    for (const [word, type] of Object.entries(TYPES))
      expect(stdout).toMatch(
        new RegExp(`${word} namespace at /run/held/${type}: ${type}:\\[\\d+], not ${type}:`),
      );
    await succeed(host, 'apply', file);
    expect(await identify(host, name)).not.toBe(before);
    await expectThere();
    await succeed(host, 'down', name);
    await sh('umount "$@"; rm -r /run/held', ...files);
    for (const started of [first, second]) {
      started.kill('SIGKILL');
      await started.ended;
    }
  });
});

// A process that was killed and cannot go yet, as a `down` leaves it that was killed between its own kills.
import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { drift, find, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec } from '../support/specs.ts';

const FREEZER = '/sys/fs/cgroup/freezer';

// A frozen process of v2 can be killed.
describe.skipIf(!requireSystem() || !fs.existsSync(`${FREEZER}/cgroup.procs`))('a process that ends', () => {
  const getHost = shareHost();

  /** The init has been killed, and waits at its end for a child that is frozen. */
  async function leave(base: string): Promise<PlacedSpec & { readonly pid: number }> {
    const host = getHost();
    const args = ['perl', '-e', 'fork; $SIG{TERM} = sub { exit 0 }; sleep 1000 while 1'];
    const spec = writeSpec(host, base, { process: { args, stopTimeout: '10m' } });
    await succeed(host, 'apply', spec.file);
    const pid = (await find(host, spec.name)).pid ?? 0;
    const folder = `${FREEZER}/runspec/${spec.name}`;
    await expect
      .poll(() => fs.readFileSync(`${folder}/cgroup.procs`, 'utf8').trim().split('\n').length)
      .toBe(2);
    await host.output(['sh', '-c', `echo ${pid} >${FREEZER}/cgroup.procs`]);
    fs.writeFileSync(`${folder}/freezer.state`, 'FROZEN');
    await host.output(['kill', '-KILL', String(pid)]);
    return { ...spec, pid };
  }

  it('is shown as such, and made anew by an apply', async () => {
    const host = getHost();
    const { name, file, pid } = await leave('ending');
    expect(await find(host, name)).toMatchObject({ state: 'ending', pid });
    expect((await host.runspec('status', name)).stdout).toContain(`ending  pid ${pid}`);
    expect(await drift(host, name)).toContain('process drifted');
    expect((await host.runspec('exec', name, '--', 'true')).stderr).toContain(`${name} does not run`);
    await succeed(host, 'apply', file);
    const { state, pid: now } = await find(host, name);
    expect(state).toBe('running');
    expect(now).not.toBe(pid);
    await succeed(host, 'down', name);
  });

  it('is not waited for by a down', async () => {
    const host = getHost();
    const { name } = await leave('gone');
    await succeed(host, 'down', name);
    expect(await list(host)).toEqual([]);
  });
});

// Scenario C: specs/limits.yaml, 10 % of a CPU, 500 MiB without swap, and namespaces of its own.
import { describe, expect, it } from 'vitest';
import { shareOfBusyLoop } from '../support/busy-loop.ts';
import { find, inside, succeed, waitForEnd } from '../support/containers.ts';
import { alpine, requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { copySpec, type PlacedSpec } from '../support/specs.ts';

const archive = requireSystem() ? alpine() : undefined;

describe.skipIf(archive === undefined)('specs/limits.yaml', () => {
  let spec: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      spec = copySpec(host, 'limits.yaml');
      await succeed(host, 'image', 'add', archive ?? '');
      await succeed(host, 'apply', spec.file);
    },
  });
  const sh = (script: string) => inside(getHost(), spec.name)(['sh', '-c', script]);

  it('gives a busy loop a tenth of a CPU', async () => {
    const share = await shareOfBusyLoop(getHost(), spec.name, 0.05);
    // More would be a broken limit; much less, a loop that did not run.
    expect(share).toBeGreaterThan(0.05);
    expect(share).toBeLessThan(0.13);
  });

  it('ends what eats memory by the OOM killer, and the container goes on', async () => {
    const { status } = await sh('tail /dev/zero');
    expect(status).toBe(137);
    expect(await find(getHost(), spec.name)).toMatchObject({ state: 'running', oom: false });
  });

  it('keeps a change of the hostname inside', async () => {
    const { stdout } = await sh('hostname; hostname changed; hostname');
    expect(stdout).toBe('limits\nchanged\n');
    expect(await getHost().output(['hostname'])).toBe('test-host\n');
  });

  it('has six namespaces of its own', async () => {
    const script = 'for one in uts pid mnt net ipc cgroup; do readlink /proc/self/ns/$one; done';
    const own = (await sh(script)).stdout.trim().split('\n');
    const outside = (await getHost().output(['sh', '-c', script])).trim().split('\n');
    expect(own).toHaveLength(6);
    expect(own.filter((one) => outside.includes(one))).toEqual([]);
  });

  it('has the mounts of the walkthrough', async () => {
    const { stdout } = await sh('while read -r _ where type _; do echo "$where $type"; done </proc/mounts');
    expect(stdout.trim().split('\n')).toEqual(
      expect.arrayContaining([
        '/ overlay',
        '/proc proc',
        '/dev tmpfs',
        '/dev/pts devpts',
        '/dev/shm tmpfs',
        '/sys sysfs',
        '/run tmpfs',
      ]),
    );
    const write = await sh(
      'for file in null zero tty; do [ -c /dev/$file ] || exit 1; done; echo text >/dev/null',
    );
    expect(write.status).toBe(0);
  });

  it('cannot have more processes than its limit', async () => {
    const { stderr } = await sh('for i in $(seq 200); do sleep 60 >/dev/null 2>&1 & done');
    expect(stderr).toMatch(/can't fork/);
    await sh('kill -9 -1');
  });

  it('keeps it when the main process is ended for want of memory', async () => {
    const host = getHost();
    const hungry = copySpec(host, 'limits.yaml', (text) =>
      text
        .replace(/^name: (\S+)$/m, 'name: $1-hungry')
        .replace('[/bin/busybox, sh]', '[tail, /dev/zero]')
        .replace('memory: 500M', 'memory: 32M')
        .replace('cpus: 0.1', 'cpus: 1'),
    );
    const name = `${hungry.name}-hungry`;
    await succeed(host, 'apply', hungry.file);
    expect(await waitForEnd(host, name)).toMatchObject({ exitStatus: 137, oom: true, pid: null });
    expect(await succeed(host, 'ps')).toMatch(/exited \(137, out of memory\)/);
    await succeed(host, 'down', name);
  });
});

// A network namespace that somebody else made in place of the container's, under its name: the process is in the former one.
import { describe, expect, it } from 'vitest';
import { find, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';

const REPLACE = 'ip netns del "$1" && ip netns add "$1" && ip -n "$1" link set lo up';

describe.skipIf(!requireSystem())('a network namespace that is another one by now', () => {
  const getHost = shareHost();
  const start = async (base: string, keys: SpecKeys) => {
    const spec = writeSpec(getHost(), base, { process: { args: WAIT, stopTimeout: '0s' }, ...keys });
    await succeed(getHost(), 'apply', spec.file);
    return { ...spec, netns: `runspec-${spec.name}`, pid: await pidOf(spec.name) };
  };
  const pidOf = async (name: string): Promise<number> => (await find(getHost(), name)).pid ?? 0;
  const sh = (script: string, ...args: readonly string[]): Promise<string> =>
    getHost().output(['sh', '-ec', script, 'sh', ...args]);
  const namespaceOf = (pid: number): Promise<string> => sh('stat -Lc %i "/proc/$1/ns/net"', String(pid));
  const named = (netns: string): Promise<string> => sh('stat -c %i "/run/netns/$1"', netns);
  const addresses = (netns: string): Promise<string> =>
    sh('ip netns exec "$1" ip -o -4 address show dev eth0', netns);

  it.each([
    ['alone', 'true', ['~ netns']],
    [
      'with its link',
      'ip link del "$(ip -br link show type veth | grep -o "^rs[0-9a-f]*")"',
      ['~ netns', '+ veth', '+ address'],
    ],
  ])('is told of, and the former one has its name again, %s', async (_, andMore, changes) => {
    const web = await start('web', { network: { subnet: '10.71.0.0/24', address: '10.71.0.5' } });
    const joined = await start('joined', { namespaces: { network: `container:${web.name}` } });
    const namespace = await namespaceOf(web.pid);
    await sh(`${REPLACE}; ${andMore}`, web.netns);
    expect(await named(web.netns)).not.toBe(namespace);
    const { status, stdout } = await getHost().runspec('status', web.name);
    expect(status).toBe(3);
    expect(stdout).toContain(`of another namespace, and process ${web.pid} is in the namespace`);
    const planned = await pending(getHost(), web.file);
    expect(planned.map((line) => line.trim().replace(/:.*/, ''))).toEqual(changes);
    await succeed(getHost(), 'apply', web.file, joined.file);
    expect(await named(web.netns)).toBe(namespace);
    expect(await addresses(web.netns)).toContain('10.71.0.5/24');
    for (const { name, pid } of [web, joined]) {
      expect(await pidOf(name)).toBe(pid);
      expect(await namespaceOf(pid)).toBe(namespace);
      expect(await getHost().runspec('status', name)).toMatchObject({ status: 0 });
    }
    await sh(REPLACE, web.netns);
    await succeed(getHost(), 'down', web.name, joined.name);
  });

  it('keeps the name as long as somebody is in it', async () => {
    const web = await start('held', { network: { subnet: '10.71.0.0/24' } });
    await sh(REPLACE, web.netns);
    const other = await getHost().start(['ip', 'netns', 'exec', web.netns, 'sleep', '1000']);
    await expect.poll(() => sh('ip netns pids "$1"', web.netns)).not.toBe('');
    const { status, stderr } = await getHost().runspec('apply', web.file);
    expect(status).toBe(1);
    expect(stderr).toMatch(/is held by sleep/);
    other.kill('SIGKILL');
    await other.ended;
    await succeed(getHost(), 'apply', web.file);
    expect(await named(web.netns)).toBe(await namespaceOf(web.pid));
    await succeed(getHost(), 'down', web.name);
  });

  it('is used by the next process, which is in nothing else', async () => {
    const web = await start('next', { network: { subnet: '10.71.0.0/24', address: '10.71.0.5' } });
    await sh(REPLACE, web.netns);
    writeSpec(getHost(), 'next', {
      process: { args: WAIT, stopTimeout: '0s', env: { NEW: 'yes' } },
      network: { subnet: '10.71.0.0/24', address: '10.71.0.5' },
    });
    await succeed(getHost(), 'apply', web.file);
    expect(await named(web.netns)).toBe(await namespaceOf(await pidOf(web.name)));
    expect(await addresses(web.netns)).toContain('10.71.0.5/24');
    expect(await getHost().runspec('status', web.name)).toMatchObject({ status: 0 });
    await succeed(getHost(), 'down', web.name);
  });

  it('is the affair of a process that may leave it', async () => {
    const web = await start('leaves', {
      rootfs: { host: { files: ['/usr/bin/unshare', '/usr/bin/sleep'] } },
      process: {
        args: ['/usr/bin/unshare', '--net', 'sleep', '1000'],
        stopTimeout: '0s',
        capabilities: { add: ['SYS_ADMIN'] },
      },
      network: { subnet: '10.71.0.0/24' },
    });
    await expect.poll(() => namespaceOf(web.pid)).not.toBe(await named(web.netns));
    expect(await getHost().runspec('status', web.name)).toMatchObject({ status: 0 });
    await succeed(getHost(), 'down', web.name);
  });
});

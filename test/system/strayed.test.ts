// What others change around a process that runs: status tells of it, and apply mends it without touching the process.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { findCgroups } from '../support/cgroups.ts';
import { find, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';

describe.skipIf(!requireSystem())('around a process that runs', () => {
  const getHost = shareHost();
  const start = async (base: string, keys: SpecKeys) => {
    const spec = writeSpec(getHost(), base, { process: { args: WAIT, stopTimeout: '0s' }, ...keys });
    await succeed(getHost(), 'apply', spec.file);
    return { ...spec, pid: (await find(getHost(), spec.name)).pid ?? 0 };
  };
  /** Mended in place: with the same process, and nothing more to say afterwards. */
  const expectMended = async ({ file, name, pid }: Awaited<ReturnType<typeof start>>): Promise<void> => {
    await succeed(getHost(), 'apply', file);
    expect((await find(getHost(), name)).pid).toBe(pid);
    expect(await getHost().runspec('status', name)).toMatchObject({ status: 0 });
    expect((await getHost().runspec('apply', file)).stderr).toMatch(/is up to date/);
  };
  const enter = (pid: number, ...argv: readonly string[]): Promise<string> =>
    getHost().output(['nsenter', '--target', String(pid), '--net', '--ipc', '--uts', '--', ...argv]);

  it('sysctls of its namespaces are put back, whatever the kernel makes of their words', async () => {
    const wanted = {
      'net.core.somaxconn': 1024,
      'net.ipv4.ip_local_reserved_ports': '8080,8081,9000',
      'net.ipv4.ip_local_port_range': '20000 30000',
      // Is only written: nobody can tell whether it is as it was.
      'net.ipv4.route.flush': 1,
      'kernel.shmmax': 1_000_000,
      'kernel.domainname': 'example.org',
    };
    const web = await start('sysctls', { sysctls: wanted });
    expect(await getHost().runspec('status', web.name)).toMatchObject({ status: 0 });
    for (const [value, file] of [
      ['7', 'net/core/somaxconn'],
      ['7777', 'net/ipv4/ip_local_reserved_ports'],
      ['8', 'kernel/shmmax'],
      ['elsewhere', 'kernel/domainname'],
    ] as const)
      await enter(web.pid, 'sh', '-c', 'echo "$1" > "$2"', 'sh', value, `/proc/sys/${file}`);
    const { status, stdout } = await getHost().runspec('status', web.name);
    expect(status).toBe(3);
    for (const words of [
      'net.core.somaxconn: 7, not 1024',
      'net.ipv4.ip_local_reserved_ports: 7777, not 8080,8081,9000',
      'kernel.shmmax: 8, not 1000000',
      'kernel.domainname: elsewhere, not example.org',
    ])
      expect(stdout).toContain(words);
    expect(stdout).not.toContain('port_range:');
    await expectMended(web);
    expect(await enter(web.pid, 'cat', '/proc/sys/net/core/somaxconn')).toBe('1024\n');
    expect(await enter(web.pid, 'cat', '/proc/sys/net/ipv4/ip_local_reserved_ports')).toBe(
      '8080-8081,9000\n',
    );
    // What was seen after the start is only a help.
    fs.writeFileSync(path.join(getHost().dataDir, 'containers', web.name, 'bundle/sysctls.json'), '{');
    await expectMended(web);
    await succeed(getHost(), 'down', web.name);
  });

  it.each([
    ['ip netns del "$1"'],
    ['umount -l /run/netns'],
    ['umount "/run/netns/$1"'],
    ['umount "/run/netns/$1"; rm "/run/netns/$1"'],
  ])('its network namespace gets back the name that it lost by %s', async (script) => {
    const web = await start('named', { network: { subnet: '10.71.0.0/24', ports: ['8080:80'] } });
    const netns = `runspec-${web.name}`;
    const show = (): Promise<string> => enter(web.pid, 'ip', '-o', 'address', 'show');
    const before = await show();
    await getHost().output(['sh', '-c', script, 'sh', netns]);
    const { status, stdout } = await getHost().runspec('status', web.name);
    expect(status).toBe(3);
    expect(stdout).toContain(`process ${web.pid} is in the namespace, not /run/netns/${netns}`);
    expect(stdout).not.toMatch(/(?:drifted|absent) +(?:veth|address|process)/);
    await expectMended(web);
    expect(await getHost().output(['ip', 'netns', 'exec', netns, 'ip', '-o', 'address', 'show'])).toBe(
      before,
    );
    expect(await show()).toBe(before);
    await getHost().output(['sh', '-c', script, 'sh', netns]);
    await succeed(getHost(), 'down', web.name);
  });

  it('the limits hold for it again when it was moved out of its cgroup, with its children', async () => {
    const script = 'sleep 1000 & sleep 1001 & wait';
    const moved = await start('moved', {
      process: { args: ['bash', '-c', script], stopTimeout: '0s' },
      resources: { memory: '64M', pids: 20 },
    });
    const other = await start('other', {});
    const folder = (name: string): string => {
      const folders = findCgroups(name).filter((one) => path.basename(one) === name);
      const found = folders.find((one) => /\/memory\/runspec\//.test(one)) ?? folders[0];
      if (found === undefined) throw new Error(`no cgroup of ${name}`);
      return found;
    };
    const members = (name: string): readonly string[] =>
      fs
        .readFileSync(`${folder(name)}/cgroup.procs`, 'utf8')
        .trim()
        .split('\n')
        .toSorted();
    await expect.poll(() => members(moved.name).length).toBe(3);
    const [own, others] = [members(moved.name), members(other.name)];
    for (const pid of own) fs.writeFileSync(`${folder(other.name)}/cgroup.procs`, pid);
    const { status, stdout } = await getHost().runspec('status', moved.name);
    expect(status).toBe(3);
    expect(stdout).toContain(`/runspec/${other.name}, not /runspec/${moved.name}`);
    await expectMended(moved);
    expect(members(moved.name)).toEqual(own);
    expect(members(other.name)).toEqual(others);
    await succeed(getHost(), 'down', moved.name, other.name);
  });
});

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

  /** Its folders in all hierarchies. */
  const foldersOf = (name: string): readonly string[] =>
    findCgroups(name).filter((folder) => path.basename(folder) === name);
  /** The one with its limits. */
  const procsOf = (name: string): string =>
    `${foldersOf(name).find((folder) => fs.existsSync(`${folder}/pids.max`)) ?? ''}/cgroup.procs`;
  /** As the machine counts: the test host has a pid namespace of its own. */
  const members = (name: string): readonly number[] =>
    fs
      .readFileSync(procsOf(name), 'utf8')
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [Number(line)]))
      .toSorted((a, b) => a - b);
  const move = (pid: number | undefined, name: string): void => {
    for (const folder of foldersOf(name)) fs.writeFileSync(`${folder}/cgroup.procs`, String(pid));
  };

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
    const show = (): Promise<string> => enter(web.pid, 'ip', '-o', '-4', 'address', 'show');
    const before = await show();
    await getHost().output(['sh', '-c', script, 'sh', netns]);
    const { status, stdout } = await getHost().runspec('status', web.name);
    expect(status).toBe(3);
    expect(stdout).toContain(`process ${web.pid} is in the namespace, not /run/netns/${netns}`);
    expect(stdout).not.toMatch(/(?:drifted|absent) +(?:veth|address|process)/);
    await expectMended(web);
    expect(await getHost().output(['ip', 'netns', 'exec', netns, 'ip', '-o', '-4', 'address', 'show'])).toBe(
      before,
    );
    expect(await show()).toBe(before);
    await getHost().output(['sh', '-c', script, 'sh', netns]);
    await succeed(getHost(), 'down', web.name);
  });

  it('a network namespace without its name is made anew when its process has to be', async () => {
    const keys = { network: { subnet: '10.71.0.0/24' }, process: { args: WAIT, stopTimeout: '0s' } };
    const web = await start('unnamed', keys);
    await getHost().output(['ip', 'netns', 'del', `runspec-${web.name}`]);
    writeSpec(getHost(), 'unnamed', { ...keys, process: { ...keys.process, env: { NEW: 'yes' } } });
    const planned = (await getHost().runspec('plan', web.file)).stdout;
    expect(planned).toMatch(/^ {2}\+ netns:/m);
    expect(planned).toMatch(/^ {2}± veth:/m);
    await succeed(getHost(), 'apply', web.file);
    const pid = (await find(getHost(), web.name)).pid ?? 0;
    expect(pid).not.toBe(web.pid);
    expect(await enter(pid, 'ip', '-o', '-4', 'address', 'show', 'dev', 'eth0')).toContain('10.71.0.2/24');
    await expectMended({ ...web, pid });
    await succeed(getHost(), 'down', web.name);
  });

  it('sysctls of an interface that is made anew are set again', async () => {
    const web = await start('interface', {
      network: { subnet: '10.72.0.0/24' },
      sysctls: { 'net.ipv4.conf.eth0.rp_filter': 2 },
    });
    const links = await getHost().output(['ip', '-o', 'link', 'show', 'type', 'veth']);
    const link = /^\d+: (rs[^@:]+)/m.exec(links)?.[1] ?? '';
    for (let round = 0; round < 4; round += 1) {
      await getHost().output(['sh', '-c', 'ip link del "$1"; nft delete table inet runspec', 'sh', link]);
      await succeed(getHost(), 'apply', web.file);
      expect(await enter(web.pid, 'cat', '/proc/sys/net/ipv4/conf/eth0/rp_filter')).toBe('2\n');
      await expectMended(web);
    }
    await succeed(getHost(), 'down', web.name);
  });

  it.each(['', 'ip link set stray0 alias ""'])(
    'a link whose host end has another name is made anew %s',
    async (andMore) => {
      const host = getHost();
      for (const network of [{ mode: 'bridge' }, { mode: 'veth' }]) {
        const spec = await start('renamed', { network });
        const links = await host.output(['ip', '-oneline', 'link']);
        const link = /rs[0-9a-f]{8}/.exec(links)?.[0] ?? '';
        const rename = `ip link set ${link} down; ip link set ${link} name stray0; ip link set stray0 up; ${andMore}`;
        await host.output(['sh', '-ec', rename]);
        await expectMended(spec);
        expect(await host.output(['ip', '-oneline', 'link'])).not.toContain('stray0');
        await host.output(['sh', '-ec', rename]);
        await succeed(host, 'down', spec.name);
        expect(await host.output(['ip', '-oneline', 'link'])).not.toContain('stray0');
      }
    },
  );

  const freezersOf = (name: string): readonly (readonly [string, string])[] =>
    foldersOf(name)
      .flatMap((folder) => [
        [`${folder}/cgroup.freeze`, '1'] as const,
        [`${folder}/freezer.state`, 'FROZEN'] as const,
      ])
      .filter(([file]) => fs.existsSync(file));

  it('goes on when somebody had frozen it, as a down does that is killed', async () => {
    const web = await start('frozen', {});
    const freezers = freezersOf(web.name);
    expect(freezers).not.toEqual([]);
    for (const [file, frozen] of freezers) {
      fs.writeFileSync(file, frozen);
      const { status, stdout } = await getHost().runspec('status', web.name);
      expect({ status, stdout }).toEqual({
        status: 3,
        stdout: expect.stringContaining(`${file}: ${frozen}, not`) as unknown,
      });
      await expectMended(web);
      expect(fs.readFileSync(file, 'utf8').trim()).not.toBe(frozen);
    }
    await succeed(getHost(), 'down', web.name);
  });

  it('is started again when the down that was killed had killed it already', async () => {
    const web = await start('doomed', {});
    for (const [file, frozen] of freezersOf(web.name)) {
      const [init] = members(web.name);
      fs.writeFileSync(file, frozen);
      process.kill(init ?? 0, 'SIGKILL');
      await succeed(getHost(), 'apply', web.file);
      expect(members(web.name)).not.toContain(init);
      expect(await getHost().runspec('status', web.name)).toMatchObject({ status: 0 });
    }
    await succeed(getHost(), 'down', web.name);
  });

  it('has its time to stop when it is frozen', async () => {
    const kept = getHost().write('specs/kept/log', '');
    const script = 'trap "echo saved >/kept/log; exit" TERM; while :; do sleep 1000 & wait; done';
    const web = await start('saves', {
      process: { args: ['bash', '-c', script], stopTimeout: '10s' },
      mounts: [{ type: 'bind', source: path.dirname(kept), destination: '/kept' }],
    });
    // The trap comes before the child.
    await expect.poll(() => members(web.name).length).toBe(2);
    for (const [file, frozen] of freezersOf(web.name)) fs.writeFileSync(file, frozen);
    await succeed(getHost(), 'down', web.name);
    expect(fs.readFileSync(kept, 'utf8')).toBe('saved\n');
  });

  it('what was moved out of its cgroup is ended with its container', async () => {
    const script = 'trap "" TERM; while :; do sleep 1000 & wait; done';
    const stubborn = { args: ['bash', '-c', script], stopTimeout: '100ms' };
    const web = await start('stubborn', { process: stubborn });
    const other = await start('refuge', {});
    const [init] = members(web.name);
    move(init, other.name);
    writeSpec(getHost(), 'stubborn', { process: { ...stubborn, env: { NEW: 'yes' } } });
    await succeed(getHost(), 'apply', web.file);
    expect(fs.existsSync(`/proc/${init}`)).toBe(false);
    move(members(web.name)[0], other.name);
    await succeed(getHost(), 'down', web.name);
    await succeed(getHost(), 'down', other.name);
  });

  it('its cgroup is filled again when it was emptied and removed', async () => {
    const web = await start('emptied', { resources: { pids: 20 } });
    const other = await start('shelter', {});
    const own = members(web.name);
    move(own[0], other.name);
    for (const folder of foldersOf(web.name)) fs.rmdirSync(folder);
    await succeed(getHost(), 'apply', web.file);
    expect(members(web.name)).toEqual(own);
    await expectMended(web);
    await succeed(getHost(), 'down', web.name, other.name);
  });

  it('only its own processes come back, not those it shares its pid namespace with', async () => {
    const [first, second] = [
      await start('first', { resources: { pids: 20 } }),
      await start('second', {
        resources: { pids: 20 },
        namespaces: { pid: `container:${getHost().name('first')}` },
      }),
    ];
    const before = [members(first.name), members(second.name)];
    move(before[1]?.[0], first.name);
    await expectMended(second);
    expect([members(first.name), members(second.name)]).toEqual(before);
    expect(await getHost().runspec('status', first.name)).toMatchObject({ status: 0 });
    await succeed(getHost(), 'down', first.name, second.name);
  });

  it('the limits hold for it again when it was moved out of its cgroup, with its children', async () => {
    const script = 'sleep 1000 & sleep 1001 & wait';
    const moved = await start('moved', {
      process: { args: ['bash', '-c', script], stopTimeout: '0s' },
      resources: { memory: '64M', pids: 20 },
    });
    const other = await start('other', {});
    await expect.poll(() => members(moved.name).length).toBe(3);
    const [own, others] = [members(moved.name), members(other.name)];
    for (const pid of own) move(pid, other.name);
    const { status, stdout } = await getHost().runspec('status', moved.name);
    expect(status).toBe(3);
    expect(stdout).toContain(`/runspec/${other.name}, not /runspec/${moved.name}`);
    await expectMended(moved);
    expect(members(moved.name)).toEqual(own);
    expect(members(other.name)).toEqual(others);
    await succeed(getHost(), 'down', moved.name, other.name);
  });
});

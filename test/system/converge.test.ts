// A container that is up: a second apply leaves it alone, changes are made in place where the kernel allows
// it, and drift is seen and mended.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift, find, identify, inside, memoryLimit, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type SpecKeys } from '../support/specs.ts';
import { ask } from '../support/talk.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

const NETWORK = { bridge: 'conv0', subnet: '10.70.0.0/24', address: '10.70.0.2', ports: ['8080:80'] };

const WEB: SpecKeys = {
  process: { args: serve('web', 'tcp:80'), stopTimeout: '5s' },
  resources: { cpus: 0.5, memory: '64M', pids: 50 },
  network: NETWORK,
  dns: { servers: ['4.2.2.4'], hosts: { db: '10.70.0.9' } },
};

describe.skipIf(!requireSystem())('a container that is up', () => {
  let name: string;
  let identity: string;
  const getHost = shareHost({
    start: async (host) => {
      const spec = writeSpec(host, 'web', WEB);
      name = spec.name;
      await succeed(host, 'apply', spec.file);
      identity = await identify(host, name);
    },
  });
  const apply = (keys: SpecKeys) => succeed(getHost(), 'apply', writeSpec(getHost(), 'web', keys).file);
  const answer = (port: number) => ask((argv) => getHost().exec(argv), { address: '127.0.0.1', port });

  it('is left alone by a second apply, which spawns nothing that changes anything', async () => {
    const host = getHost();
    const before = await host.snapshot();
    const { file } = writeSpec(host, 'web', WEB);
    expect(await pending(host, file)).toEqual([]);
    const events = (await succeed(host, 'apply', '--json', file)).trim().split('\n');
    expect(events.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ event: 'applied', container: name, changed: 0 }),
    ]);
    expect(await identify(host, name)).toBe(identity);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('needs nothing but reading for a second apply', async () => {
    const host = getHost();
    // In front of each program that changes a host, one that writes down what it is asked. (Another runtime
    // would be a change of its own.)
    const log = host.write('specs/asked', '');
    const wrapper = `#!/bin/sh
program=$(basename "$0")
case "$program $*" in
  ip*-batch*) lines=$(cat); printf '%s\\n' "$lines" | sed "s/^/ip batch: /" >>${log}; printf '%s\\n' "$lines" | "/sbin/$program" "$@" ;;
  *) echo "$program $*" >>${log}; exec "/usr/sbin/$program" "$@" ;;
esac
`;
    const programs = ['ip', 'nft', 'conmon', 'mount', 'umount', 'tar', 'sysctl'];
    const files = programs.map((program) => host.write(`specs/bin/${program}`, wrapper));
    for (const file of files) fs.chmodSync(file, 0o755);
    const { file } = writeSpec(host, 'web', WEB);
    const PATH = `${path.dirname(files[0] ?? '')}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
    await host.output([process.execPath, CLI, 'apply', file], { env: { PATH } });
    const asked = fs.readFileSync(log, 'utf8').trim().split('\n');
    expect(asked).toContainEqual(expect.stringMatching(/^ip /));
    const reads =
      /^ip (batch: )?(-\S+ |\S+ -d )*(addr|link|route) show|^ip .*-batch|^nft (-\S+ )*list |--version$/;
    expect(asked.filter((line) => !reads.test(line))).toEqual([]);
    expect(await identify(host, name)).toBe(identity);
  });

  it('is the same in equivalent spellings of its spec', async () => {
    const host = getHost();
    const spellings: SpecKeys = {
      process: { ...(WEB['process'] as object), stopTimeout: '5000ms', stopSignal: 'term', cwd: '/' },
      resources: { cpus: 0.5, memory: 67_108_864, pids: 50 },
      network: {
        ...NETWORK,
        mode: 'bridge',
        nat: true,
        ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      },
      dns: { hosts: { db: '10.70.0.9' }, servers: ['4.2.2.4'] },
      namespaces: { pid: 'private' },
      hostname: name,
    };
    const { file } = writeSpec(host, 'web', spellings);
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'apply', file);
    expect(await identify(host, name)).toBe(identity);
  });

  it('changes limits, ports, nat, dns and hosts in place, and keeps connections', async () => {
    const host = getHost();
    // One connection from before the changes, which is used after them.
    const script =
      'exec 3<>/dev/tcp/127.0.0.1/8080; for i in 1 2; do echo "$i" >&3; head -n 1 <&3; read -r _; done';
    const connection = await host.start(['bash', '-c', `mkfifo /run/go; exec 0<>/run/go; ${script}`]);
    await expect.poll(connection.written, { timeout: 10_000 }).toMatch(/^web \S+ 1\n$/);
    await apply({
      ...WEB,
      resources: { cpus: 0.25, memory: '32M', pids: 40 },
      network: { ...NETWORK, ports: ['8080:80', '8081:80', '127.0.0.1:8082:80'], nat: false },
      dns: { servers: ['9.9.9.9'], hosts: { db: '10.70.0.10' } },
    });
    expect(await identify(host, name)).toBe(identity);
    expect(memoryLimit(name)).toBe(String(32 * 1024 * 1024));
    expect(await answer(8081)).toMatch(/^web /);
    expect(await answer(8082)).toMatch(/^web /);
    const { stdout } = await inside(host, name)(['cat', '/etc/resolv.conf', '/etc/hosts']);
    expect(stdout).toContain('nameserver 9.9.9.9\n');
    expect(stdout).toContain('10.70.0.10\tdb\n');
    expect(stdout).not.toContain('10.70.0.9\t');
    await host.output(['sh', '-c', 'echo >/run/go']);
    await expect.poll(connection.written, { timeout: 10_000 }).toMatch(/^web \S+ 1\nweb \S+ 2\n$/);
    await host.output(['sh', '-c', 'echo >/run/go']);
    await connection.ended;
    await host.output(['rm', '/run/go']);
    await apply(WEB);
    expect(await identify(host, name)).toBe(identity);
    expect(await answer(8081)).toBeUndefined();
    expect(memoryLimit(name)).toBe(String(64 * 1024 * 1024));
    expect(await drift(host, name)).toEqual([]);
  });

  it('gets a new process for new args, and nothing else', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'web', {
      ...WEB,
      process: { args: serve('other', 'tcp:80'), stopTimeout: '5s' },
    });
    const planned = await pending(host, spec.file);
    expect(planned.map((line) => line.trim()[0])).not.toContain('-');
    const links = await host.output(['ip', '-json', 'link']);
    await succeed(host, 'apply', spec.file);
    expect(await identify(host, name)).not.toBe(identity);
    await expect.poll(() => answer(8080), { timeout: 10_000 }).toMatch(/^other /);
    expect(await host.output(['ip', '-json', 'link'])).toBe(links);
    await apply(WEB);
    identity = await identify(host, name);
    await expect.poll(() => answer(8080), { timeout: 10_000 }).toMatch(/^web /);
  });

  it.each<readonly [string, string, RegExp]>([
    ['a flushed firewall', 'nft flush ruleset', /^nft:table absent$/],
    ['a flushed chain', 'nft flush chain inet runspec forward', /^nft:table drifted$/],
    ['a port taken out of its map', 'nft flush map inet runspec ports', /^port:tcp\/8080 absent$/],
    ['a bridge that is down', 'ip link set conv0 down', /^bridge:conv0 drifted$/],
    ['a bridge without its address', 'ip address flush dev conv0', /^bridge:conv0 drifted$/],
    ['a lost route to the bridge', 'ip route delete 10.70.0.0/24 dev conv0', /^bridge:conv0 drifted$/],
    ['a deleted bridge', 'ip link delete conv0', /^bridge:conv0 absent$/],
    ['a veth that left its bridge', 'ip link set "$link" nomaster', /^veth:eth0 drifted$/],
    ['a veth that is down', 'ip link set "$link" down', /^veth:eth0 drifted$/],
    ['a deleted veth', 'ip link delete "$link"', /^veth:eth0 absent$/],
    ['an address lost inside', 'ip -n "runspec-$name" address flush dev eth0', /^address:eth0 \w+$/],
    [
      'a route lost inside',
      'ip -n "runspec-$name" route delete 10.70.0.0/24 dev eth0',
      /^address:eth0 drifted$/,
    ],
    ['all routes lost inside', 'ip -n "runspec-$name" route flush table main', /^address:eth0 drifted$/],
    ['a default route lost inside', 'ip -n "runspec-$name" route delete default', /^address:eth0 drifted$/],
    [
      'a sysctl switched off',
      'echo 0 >/proc/sys/net/ipv4/ip_forward',
      /^sysctl:net\.ipv4\.ip_forward drifted$/,
    ],
    ['an mtu that was changed', 'ip link set "$link" mtu 1300', /^veth:eth0 drifted$/],
    [
      'a mac that was changed',
      'ip -n "runspec-$name" link set eth0 address 02:00:00:00:00:99',
      /^veth:eth0 drifted$/,
    ],
    ['an element taken out of a set', 'nft flush set inet runspec members', /^member:10\.70\.0\.2 absent$/],
    [
      'a changed file',
      'echo "nameserver 6.6.6.6" >"$RUNSPEC_DATA_DIR/containers/$name/etc/resolv.conf"',
      /^file:\/etc\/resolv\.conf drifted$/,
    ],
    [
      'a changed limit',
      'for file in /sys/fs/cgroup/memory/runspec/$name/memory.limit_in_bytes /sys/fs/cgroup/runspec/$name/memory.max; do if [ -e $file ]; then echo 99999744 >$file; fi; done',
      /^cgroup\S* drifted$/,
    ],
  ])('has drift seen and mended without a new process: %s', async (_, command, step) => {
    const host = getHost();
    const link =
      /rs[0-9a-f]{8}/.exec(await host.output(['ip', 'link', 'show', 'master', 'conv0']))?.[0] ?? '';
    await host.output(['sh', '-ec', `name=$1 link=$2; ${command}`, 'sh', name, link]);
    const found = await drift(host, name);
    expect(found).toContainEqual(expect.stringMatching(step));
    expect(found.filter((one) => one.endsWith('shadowed'))).toEqual([]);
    await apply(WEB);
    expect(await identify(host, name)).toBe(identity);
    expect(await drift(host, name)).toEqual([]);
    expect(await answer(8080)).toMatch(/^web /);
    expect(memoryLimit(name)).toBe(String(64 * 1024 * 1024));
    expect((await inside(host, name)(['cat', '/etc/resolv.conf'])).stdout).toBe('nameserver 4.2.2.4\n');
  });

  it.each<readonly [string, (pid: string) => string, RegExp, string]>([
    [
      'was unmounted in it',
      // umount2(2) with MNT_DETACH, as the container has no umount.
      (pid) =>
        `nsenter --target ${pid} --mount perl -e 'my $at = "/etc/hosts"; syscall(${process.arch === 'arm64' ? 39 : 166}, $at, 2) == 0 or die $!'`,
      /^process drifted$/,
      'not mounted in the container',
    ],
    [
      'was deleted',
      () => 'rm "$RUNSPEC_DATA_DIR/containers/$name/etc/hosts"',
      /^file:\/etc\/hosts absent$/,
      'deleted or replaced on the host, and the container still has the former one',
    ],
  ])(
    'gets a new process, with the reason in the plan, for a file of /etc that %s',
    async (_, command, step, reason) => {
      const host = getHost();
      const { pid } = await find(host, name);
      await host.output(['sh', '-ec', `name=$1; ${command(String(pid))}`, 'sh', name]);
      const found = await drift(host, name);
      expect(found).toContainEqual(expect.stringMatching(step));
      expect(found).toContain('process drifted');
      expect((await host.runspec('status', name)).stdout).toContain(`mount /etc/hosts: ${reason}`);
      expect((await host.runspec('plan', writeSpec(host, 'web', WEB).file)).stdout).toMatch(
        new RegExp(`± process .*\\n +mount /etc/hosts: ${reason}`),
      );
      await apply(WEB);
      identity = await identify(host, name);
      expect(await drift(host, name)).toEqual([]);
      await expect.poll(() => answer(8080), { timeout: 10_000 }).toMatch(/^web /);
    },
  );

  it('has a killed process seen and started again', async () => {
    const host = getHost();
    await host.output(['kill', '-KILL', String((await find(host, name)).pid)]);
    await expect.poll(async () => (await find(host, name)).state, { timeout: 10_000 }).toBe('exited');
    expect(await drift(host, name)).toEqual(['process absent']);
    await apply(WEB);
    identity = await identify(host, name);
    await expect.poll(() => answer(8080), { timeout: 10_000 }).toMatch(/^web /);
  });
});

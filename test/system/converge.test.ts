// apply, down and status as convergence: what is as it should be stays untouched, what changed changes in
// place where the kernel allows it, drift is seen and mended, and what fails leaves the host as it was.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, identify, inside, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';
import { ask } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

const NETWORK = { bridge: 'conv0', subnet: '10.70.0.0/24', address: '10.70.0.2', ports: ['8080:80'] };
const WEB: SpecKeys = {
  process: { args: serve('web', 'tcp:80'), stopTimeout: '5s' },
  resources: { cpus: 0.5, memory: '64M', pids: 50 },
  network: NETWORK,
  dns: { servers: ['4.2.2.4'], hosts: { db: '10.70.0.9' } },
};

/** Ids of the steps that `plan` would carry out, with what it would do. */
async function pending(host: TestHost, file: string): Promise<readonly string[]> {
  const { status, stdout } = await host.runspec('plan', '--exit-code', file);
  const marked = stdout.split('\n').filter((line) => /^\s*[-+~±]/.test(line));
  expect(status).toBe(marked.length === 0 ? 0 : 3);
  return marked;
}

/** Steps that are not as they should be, by `status --json`. */
async function drift(host: TestHost, name: string): Promise<readonly string[]> {
  const { status, stdout } = await host.runspec('status', name, '--json');
  const { clean, steps } = JSON.parse(stdout) as {
    readonly clean: boolean;
    readonly steps: readonly { readonly id: string; readonly state: string }[];
  };
  expect(status).toBe(clean ? 0 : 3);
  return steps.filter((step) => step.state !== 'present').map((step) => `${step.id} ${step.state}`);
}

const limitFiles = (name: string): readonly string[] => [
  `/sys/fs/cgroup/memory/runspec/${name}/memory.limit_in_bytes`,
  `/sys/fs/cgroup/runspec/${name}/memory.max`,
];

function memoryLimit(name: string): string {
  const file = limitFiles(name).find((one) => fs.existsSync(one));
  return file === undefined ? 'none' : fs.readFileSync(file, 'utf8').trim();
}

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
    ['a deleted bridge', 'ip link delete conv0', /^bridge:conv0 absent$/],
    ['a veth that left its bridge', 'ip link set "$link" nomaster', /^veth:eth0 drifted$/],
    ['a veth that is down', 'ip link set "$link" down', /^veth:eth0 drifted$/],
    ['a deleted veth', 'ip link delete "$link"', /^veth:eth0 absent$/],
    ['an address lost inside', 'ip -n "runspec-$name" address flush dev eth0', /^address:eth0 \w+$/],
    ['a default route lost inside', 'ip -n "runspec-$name" route delete default', /^address:eth0 drifted$/],
    [
      'a sysctl switched off',
      'echo 0 >/proc/sys/net/ipv4/ip_forward',
      /^sysctl:net\.ipv4\.ip_forward drifted$/,
    ],
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
    await apply(WEB);
    expect(await identify(host, name)).toBe(identity);
    expect(await drift(host, name)).toEqual([]);
    expect(await answer(8080)).toMatch(/^web /);
    expect(memoryLimit(name)).toBe(String(64 * 1024 * 1024));
    expect((await inside(host, name)(['cat', '/etc/resolv.conf'])).stdout).toBe('nameserver 4.2.2.4\n');
  });

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

describe.skipIf(!requireSystem())('an apply that fails', () => {
  let before: Awaited<ReturnType<TestHost['snapshot']>>;
  const getHost = shareHost({
    start: async (host) => {
      // Layers stay in the store; what a failure leaves is looked for without them.
      const spec = writeSpec(host, 'first', { network: NETWORK });
      await succeed(host, 'apply', spec.file);
      await succeed(host, 'down', spec.name);
      fs.mkdirSync(`${host.folder}/specs`, { recursive: true });
    },
  });
  const failing = async (base: string, keys: SpecKeys) => {
    const host = getHost();
    const spec = writeSpec(host, base, { network: NETWORK, ...keys });
    before = await host.snapshot();
    const result = await host.runspec('apply', spec.file);
    expect(await host.settledDiff(before)).toEqual([]);
    expect(await list(host)).toEqual([]);
    return result;
  };

  it('for want of the program says so, with the step, and leaves nothing', async () => {
    const { status, stderr } = await failing('program', { process: { args: ['/no/such/program'] } });
    expect([1, 2]).toContain(status);
    expect(stderr).toMatch(/no program \/no\/such\/program/);
    expect(stderr).toMatch(/program\.json:\d+:\d+|bundle|process/);
  });

  it('for want of the user says so, and leaves nothing', async () => {
    const { status, stderr } = await failing('user', { process: { args: WAIT, user: 'nobody-knows' } });
    expect([1, 2]).toContain(status);
    expect(stderr).toContain('nobody-knows');
  });

  it('in the runtime names the step, the command, its words and a hint, and leaves nothing', async () => {
    const runtime = getHost().write(
      'specs/runtime',
      '#!/bin/sh\necho "the runtime has no mind to" >&2\nexit 9\n',
    );
    fs.chmodSync(runtime, 0o755);
    const { status, stderr } = await failing('runtime', { runtime });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: process: /m);
    expect(stderr).toContain('the runtime has no mind to');
    expect(stderr).toMatch(/^ {2}command: .*conmon/m);
  });

  it('in a command names the step, the command and its words, and leaves nothing', async () => {
    const host = getHost();
    // An `ip` that cannot make veth pairs.
    const wrapper = host.write(
      'specs/bin/ip',
      '#!/bin/sh\ncase "$*" in *-batch*) ;; *) exec /sbin/ip "$@" ;; esac\nlines=$(cat)\n' +
        'case "$lines" in *"type veth"*) echo "RTNETLINK answers: Not today" >&2; exit 2 ;; esac\n' +
        'printf "%s\\n" "$lines" | /sbin/ip "$@"\n',
    );
    fs.chmodSync(wrapper, 0o755);
    const { file } = writeSpec(host, 'command', { network: NETWORK });
    before = await host.snapshot();
    const PATH = `${path.dirname(wrapper)}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
    const { status, stderr } = await host.exec([process.execPath, CLI, 'apply', file], { env: { PATH } });
    expect(status).toBe(1);
    expect(stderr).toMatch(/error: veth:eth0: /);
    expect(stderr).toMatch(/^ {2}command: \S*ip .*\(exit status 2\)/m);
    expect(stderr).toMatch(/^ {2}\| RTNETLINK answers: Not today/m);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('in a write to the kernel names the step and the file, and leaves nothing', async () => {
    const { status, stderr } = await failing('cpuset', { resources: { cpuset: '0-4000' } });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: cgroup\S*: .*cpuset\.cpus/m);
  });

  it('leaves what was up before as it was', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'stays', { ...WEB, process: { args: WAIT } });
    await succeed(host, 'apply', spec.file);
    const identity = await identify(host, spec.name);
    const up = await host.snapshot();
    const changed = writeSpec(host, 'stays', {
      ...WEB,
      network: { ...NETWORK, ports: ['8081:80'], nat: false },
      resources: { memory: '32M', cpuset: '0-4000' },
      process: { args: WAIT },
    });
    expect((await host.runspec('apply', changed.file)).status).toBe(1);
    writeSpec(host, 'stays', { ...WEB, process: { args: WAIT } });
    expect(await identify(host, spec.name)).toBe(identity);
    expect(await host.settledDiff(up)).toEqual([]);
    expect(await drift(host, spec.name)).toEqual([]);
    await succeed(host, 'down', spec.name);
  });

  it('keeps what was made when told so, and down removes it', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'kept', { network: NETWORK, process: { args: ['/etc/passwd'] } });
    before = await host.snapshot();
    const { status } = await host.runspec('apply', '--keep-on-failure', file);
    if (status === 1) expect((await list(host)).map((row) => row.state)).toEqual(['partial']);
    await succeed(host, 'down', name);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('is rolled back when %s comes in the middle', async (signal, status) => {
    const host = getHost();
    // A runtime that takes its time, so that the signal finds the apply in its middle.
    const runtime = host.write('specs/slow', '#!/bin/sh\nsleep 0.7\nexec runc "$@"\n');
    fs.chmodSync(runtime, 0o755);
    const { file } = writeSpec(host, 'slow', { network: NETWORK, runtime });
    before = await host.snapshot();
    const apply = await host.startRunspec('apply', file);
    await expect.poll(apply.written, { timeout: 20_000, interval: 10 }).toContain('address 10.70.0.2');
    apply.kill(signal);
    expect((await apply.ended).status).toBe(status);
    expect(apply.written()).toContain(`interrupted by ${signal}, rolled back`);
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('because another runspec is at work ends with 4', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'busy', {});
    const hold = 'open(F, ">>", shift); flock(F, 2); $| = 1; print "held"; sleep 1000';
    const holder = await host.start(['perl', '-e', hold, `${host.dataDir}/.lock`]);
    await expect.poll(holder.written, { timeout: 10_000 }).toContain('held');
    for (const args of [
      ['apply', file],
      ['down', name],
    ]) {
      expect(await host.runspec('--lock-timeout', '200ms', ...args)).toMatchObject({ status: 4 });
    }
    expect((await host.runspec('ps')).status).toBe(0);
    expect((await host.runspec('plan', file)).status).toBe(0);
    holder.kill('SIGKILL');
    await holder.ended;
    await succeed(host, 'apply', file);
    await succeed(host, 'down', name);
  });
});

describe.skipIf(!requireSystem())('down', () => {
  const foreign = 'foreign0';
  const getHost = shareHost({
    prepare: async (host) => {
      // Its address is that of its first port, as with a bridge around an uplink.
      await host.output(['ip', 'link', 'add', foreign, 'type', 'bridge', 'forward_delay', '0']);
      await host.output([
        'ip',
        'link',
        'add',
        'port0',
        'address',
        'fa:00:00:00:00:01',
        'type',
        'veth',
        'peer',
        'name',
        'port1',
      ]);
      await host.output(['ip', 'link', 'set', 'port0', 'master', foreign, 'up']);
      await host.output(['ip', 'link', 'set', 'port1', 'up']);
      await host.output(['ip', 'link', 'set', foreign, 'mtu', '1400']);
      const settled =
        'grep -q up /sys/class/net/$1/operstate && { [ ! -e /proc/sys/net/ipv6/conf/$1 ] || ip -6 address show dev $1 | grep -q fe80; }';
      await host.output(['ip', 'address', 'add', '10.71.0.1/24', 'dev', foreign]);
      await host.output(['ip', 'link', 'set', foreign, 'up']);
      await expect
        .poll(async () => (await host.exec(['sh', '-c', settled, 'sh', foreign])).status, { timeout: 10_000 })
        .toBe(0);
      await host.output([
        'nft',
        'add table inet theirs; add chain inet theirs c { type filter hook input priority 0; }; add rule inet theirs c tcp dport 1 accept',
      ]);
    },
  });

  it('works from what was applied: with the spec edited, renamed or gone, by name or by file, and twice', async () => {
    const host = getHost();
    const spec = writeSpec(host, 'gone', { network: NETWORK });
    await succeed(host, 'apply', spec.file);
    fs.rmSync(spec.file);
    await succeed(host, 'down', spec.name);
    const edited = writeSpec(host, 'edited', { network: NETWORK });
    await succeed(host, 'apply', edited.file);
    writeSpec(host, 'edited', { network: { bridge: 'other0', ports: ['9999:80'] }, resources: { pids: 3 } });
    await succeed(host, 'down', edited.file);
    expect(await list(host)).toEqual([]);
    expect(await host.output(['ip', 'link'])).not.toContain('conv0');
    expect((await host.runspec('down', edited.name)).status).toBe(0);
    expect((await host.runspec('down', edited.file)).status).toBe(0);
  });

  it('keeps a shared bridge for its last user', async () => {
    const host = getHost();
    const one = writeSpec(host, 'one', { network: { bridge: 'shared0' } });
    const two = writeSpec(host, 'two', { network: { bridge: 'shared0' } });
    const bridges = async (): Promise<boolean> => (await host.output(['ip', 'link'])).includes('shared0:');
    await succeed(host, 'apply', one.file, two.file);
    await succeed(host, 'down', one.name);
    expect(await bridges()).toBe(true);
    expect(await drift(host, two.name)).toEqual([]);
    await succeed(host, 'down', two.name);
    expect(await bridges()).toBe(false);
    expect(await host.output(['cat', '/proc/sys/net/ipv4/ip_forward'])).toBe('0\n');
  });

  it('leaves a foreign bridge with its settings and another’s firewall', async () => {
    const host = getHost();
    const settings = async (): Promise<string> => {
      const [link] = JSON.parse(
        await host.output(['ip', '-json', 'address', 'show', foreign]),
      ) as readonly Record<string, unknown>[];
      const localnet = await host.output(['cat', `/proc/sys/net/ipv4/conf/${foreign}/route_localnet`]);
      return JSON.stringify([
        link?.['address'],
        link?.['mtu'],
        link?.['flags'],
        link?.['addr_info'],
        localnet,
      ]);
    };
    const before = await settings();
    const spec = writeSpec(host, 'joins', { network: { bridge: foreign, subnet: '10.71.0.0/24' } });
    await succeed(host, 'apply', spec.file);
    expect((await find(host, spec.name)).address).toBe('10.71.0.2');
    expect(await host.output(['ip', 'link', 'show', 'master', foreign])).toContain(`runspec:${spec.name}`);
    const [address, mtu] = JSON.parse(await settings()) as readonly unknown[];
    expect([address, mtu]).toEqual(['fa:00:00:00:00:01', 1400]);
    await succeed(host, 'down', spec.name);
    expect(await settings()).toBe(before);
    expect(await host.output(['nft', 'list', 'ruleset'])).toContain('table inet theirs');
  });

  it('drops an ephemeral layer and keeps a persistent one and volumes until --volumes', async () => {
    const host = getHost();
    const volumes = { mounts: [{ type: 'volume', source: 'kept', destination: '/var/kept' }] };
    const ephemeral = writeSpec(host, 'ephemeral', volumes);
    const persistent = writeSpec(host, 'persistent', { writable: 'persistent' });
    const read = async (name: string, file: string) => (await inside(host, name)(['cat', file])).stdout;
    const write = (name: string, file: string) => inside(host, name)(['bash', '-c', `echo text >${file}`]);
    const upDown = async (...options: readonly string[]): Promise<void> => {
      await succeed(host, 'down', ...options, ephemeral.name, persistent.name);
      await succeed(host, 'apply', ephemeral.file, persistent.file);
    };
    await succeed(host, 'apply', ephemeral.file, persistent.file);
    await write(ephemeral.name, '/file');
    await write(ephemeral.name, '/var/kept/file');
    await write(persistent.name, '/file');
    await upDown();
    expect(await read(ephemeral.name, '/file')).toBe('');
    expect(await read(ephemeral.name, '/var/kept/file')).toBe('text\n');
    expect(await read(persistent.name, '/file')).toBe('text\n');
    await upDown('--volumes');
    expect(await read(ephemeral.name, '/var/kept/file')).toBe('');
    expect(await read(persistent.name, '/file')).toBe('');
    await succeed(host, 'down', '--volumes', ephemeral.name, persistent.name);
  });

  it('takes every container of a call, and says which were not there', async () => {
    const host = getHost();
    const names = ['a', 'b', 'c'].map((base) =>
      writeSpec(host, `many/${base}`.replace('/', '-'), { network: { bridge: 'many0' } }),
    );
    await succeed(host, 'apply', ...names.map((spec) => spec.file));
    expect(await list(host)).toHaveLength(3);
    const { status, stderr } = await host.runspec('down', '--all');
    expect({ status, left: await list(host) }).toEqual({ status: 0, left: [] });
    for (const { name } of names) expect(stderr).toContain(`${name} is down`);
    expect((await host.runspec('down', 'never-there')).status).toBe(0);
  });
});

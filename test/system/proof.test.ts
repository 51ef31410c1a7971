// apply --prove and down --prove, and leakcheck around any command: clean when nothing is left, and every kind
// of thing that is left is named.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { identify, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { SPECS, WAIT, writeSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');
const NETWORK = { bridge: 'prove0', ports: ['8080:80'] };

interface Difference {
  readonly class: string;
  readonly change: string;
  readonly key: string;
  readonly owner?: string;
}

interface Proof {
  readonly clean: boolean;
  readonly residue: readonly Difference[];
  readonly attributed: readonly Difference[];
  readonly classes: Readonly<Record<string, number>>;
}

/** A shell goes on before what it started in the background has become the program. */
function untilItIs(program: string): string {
  return `until grep -qx ${program} /proc/$!/comm; do :; done`;
}

/** Class, what leaves something of it, what is said of it, what takes it away again. */
const LEAKS: readonly (readonly [string, string, RegExp, string])[] = [
  ['link', 'ip link add leak0 type veth peer name leak1', /^leak0 veth down/, 'ip link del leak0'],
  [
    'address',
    'ip address add 192.0.2.9/32 dev lo',
    /^lo 192\.0\.2\.9\/32$/,
    'ip address del 192.0.2.9/32 dev lo',
  ],
  [
    'route',
    'ip route add 192.0.2.0/24 via 198.51.100.1',
    /dst 192\.0\.2\.0\/24/,
    'ip route del 192.0.2.0/24',
  ],
  ['rule', 'ip rule add fwmark 9 table 99', /^ip .*99/, 'ip rule del fwmark 9 table 99'],
  ['netns', 'ip netns add leak', /^leak$/, 'ip netns del leak'],
  ['nft', 'nft add table inet leak', /^table inet leak$/, 'nft delete table inet leak'],
  [
    'socket',
    "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalPort => 9999); exit if fork; close STDOUT; close STDERR; sleep 1000'",
    /^tcp 0\.0\.0\.0 port 9999$/,
    'pkill -f "LocalPor[t]"',
  ],
  [
    'mount',
    'mkdir /run/leak && mount -t tmpfs leak /run/leak',
    /^\/run\/leak tmpfs of leak/,
    'umount /run/leak && rmdir /run/leak',
  ],
  [
    'namespace',
    `unshare --uts sleep 1000 >/dev/null 2>&1 & ${untilItIs('sleep')}`,
    /^uts:\[\d+\]$/,
    'pkill -f "^sleep 1000$"',
  ],
  [
    'process',
    `sleep 1001 >/dev/null 2>&1 & ${untilItIs('sleep')}`,
    /^sleep sleep 1001$/,
    'pkill -f "^sleep 1001$"',
  ],
  [
    'sysctl',
    'echo 1 >/proc/sys/net/ipv4/conf/lo/log_martians',
    /^net\/ipv4\/conf\/lo\/log_martians = 1$/,
    'echo 0 >/proc/sys/net/ipv4/conf/lo/log_martians',
  ],
  ['ipc', "perl -e 'shmget(77, 4096, 01600)'", /^shm 77 /, 'ipcrm -M 77'],
  ['file', 'touch /dev/shm/leak', /^\/dev\/shm\/leak file 644 0:0$/, 'rm /dev/shm/leak'],
];

describe.skipIf(!requireSystem())('a proof', () => {
  const getHost = shareHost({
    prepare: (host) => host.output(['sh', '-c', 'ip netns add x; ip netns del x']),
  });
  const write = (base: string, keys: object = {}) =>
    writeSpec(getHost(), base, { process: { args: WAIT, stopTimeout: '5s' }, ...keys });
  const down = async (...args: readonly string[]): Promise<{ status: number | undefined; proof: Proof }> => {
    const { status, stdout } = await getHost().runspec('down', '--prove', '--json', ...args);
    const proof = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Proof & { event: string })
      .find((one) => one.event === 'proof');
    if (proof === undefined) throw new Error(`no proof in:\n${stdout}`);
    return { status, proof };
  };

  it('counts no process of others that comes and goes while it looks', async () => {
    const host = getHost();
    const spec = write('busy');
    // As of other runspecs: they name runspec's folders, and are in no cgroup of their own.
    const stop = host.write('specs/stop', '');
    const others = await host.start([
      'bash',
      '-c',
      `while [ -e ${stop} ]; do bash -c "sleep 0.1; : ${host.stateDir}/other $RANDOM"; done`,
    ]);
    await succeed(host, 'apply', '--prove', spec.file);
    const { status, proof } = await down(spec.name);
    fs.rmSync(stop);
    await others.ended;
    expect({ status, residue: proof.residue }).toEqual({ status: 0, residue: [] });
  });

  it('attests that nothing is left', async () => {
    const host = getHost();
    const spec = write('plain', {
      network: NETWORK,
      resources: { memory: '64M' },
      mounts: [{ type: 'volume', source: 'proved', destination: '/var/lib/data' }],
    });
    await succeed(host, 'apply', '--prove', spec.file);
    // A second one changes nothing, and what was before stays known.
    await succeed(host, 'apply', '--prove', spec.file);
    const { status, proof } = await down(spec.name);
    expect(proof).toMatchObject({ clean: true, residue: [] });
    expect(status).toBe(0);
    expect(proof.attributed.map((one) => one.owner)).toContain('kept data, until --volumes');
    for (const name of LEAKS.map(([kind]) => kind)) expect(Object.keys(proof.classes)).toContain(name);
    for (const name of ['link', 'route', 'mount', 'cgroup', 'process', 'sysctl', 'file', 'namespace'])
      expect(proof.classes[name]).toBeGreaterThan(0);
    await succeed(host, 'down', '--volumes', spec.name);
  });

  it('does not count what other containers made or took away meanwhile', async () => {
    const host = getHost();
    const [one, two, three] = ['one', 'two', 'three'].map((base) =>
      write(base, { network: { bridge: 'prove0' } }),
    );
    if (one === undefined || two === undefined || three === undefined) throw new Error('three specs');
    await succeed(host, 'apply', one.file);
    await succeed(host, 'apply', '--prove', two.file);
    await succeed(host, 'apply', three.file);
    await succeed(host, 'down', one.name);
    const { status, proof } = await down(two.name);
    expect(proof.residue).toEqual([]);
    expect(status).toBe(0);
    expect(new Set(proof.attributed.map(({ owner }) => owner))).toContain(`container ${three.name}`);
    await succeed(host, 'down', three.name);
  });

  it('does not count what runspec has for others alone, be they up, gone, or only their data kept', async () => {
    const host = getHost();
    const one = write('alone');
    const other = write('beside', {
      writable: 'persistent',
      mounts: [{ type: 'volume', source: 'beside', destination: '/var/lib/data' }],
    });
    const prove = async (): Promise<void> => {
      const { status, proof } = await down(one.name);
      expect({ status, residue: proof.residue }).toEqual({ status: 0, residue: [] });
    };
    await succeed(host, 'apply', '--prove', one.file);
    await succeed(host, 'apply', other.file);
    await prove();
    await succeed(host, 'apply', '--prove', one.file);
    await succeed(host, 'down', other.name);
    await prove();
    await succeed(host, 'down', '--volumes', other.name);
    await succeed(host, 'apply', '--prove', one.file);
    await succeed(host, 'apply', other.file);
    await succeed(host, 'down', other.name);
    await prove();
    await succeed(host, 'down', '--volumes', other.name);
  });

  it('tells what a container of another data folder has made by its owner’s name', async () => {
    const host = getHost();
    const [own, theirs] = [
      write('own', { network: NETWORK }),
      write('theirs', { network: { bridge: 'prove1' } }),
    ];
    const folder = (name: string): string => path.join(host.folder, SPECS, `abroad-${name}`);
    // Where its mounts and records lie is no container's.
    for (const name of ['state', 'data']) await host.output(['mkdir', '--mode=700', folder(name)]);
    const abroad = ['--state-dir', folder('state'), '--data-dir', folder('data')];
    await succeed(host, 'apply', '--prove', own.file);
    await succeed(host, ...abroad, 'apply', theirs.file);
    const { status, proof } = await down(own.name);
    expect(proof.residue).toEqual([]);
    expect(status).toBe(0);
    const owners = proof.attributed.map(({ class: kind, owner }) => `${kind} of ${owner}`);
    for (const kind of ['link', 'netns', 'nft', 'cgroup', 'mount', 'sysctl'])
      expect(owners).toContain(`${kind} of container ${theirs.name}`);
    await succeed(host, ...abroad, 'down', theirs.name);
    await succeed(host, 'gc');
  });

  it('names what is left', async () => {
    const host = getHost();
    const spec = write('leaky', { network: NETWORK });
    await succeed(host, 'apply', '--prove', spec.file);
    await host.output(['sh', '-c', 'ip link add leak0 type veth peer name leak1; nft add table inet leak']);
    const { status, stdout, stderr } = await host.runspec('down', '--prove', spec.name);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^\+ link +leak0 veth/m);
    expect(stdout).toMatch(/^\+ nft +table inet leak$/m);
    expect(stderr).toContain(`the host is not as it was before ${spec.name}`);
    await host.output(['sh', '-c', 'ip link del leak0; nft delete table inet leak']);
  });

  it('is refused, and nothing touched, where there is nothing to compare with', async () => {
    const host = getHost();
    const spec = write('unproven');
    await succeed(host, 'apply', spec.file);
    const identity = await identify(host, spec.name);
    expect((await host.runspec('down', '--prove', spec.name)).status).toBe(2);
    expect((await host.runspec('apply', '--prove', spec.file)).status).toBe(2);
    expect(await identify(host, spec.name)).toBe(identity);
    await succeed(host, 'down', spec.name);
  });

  it('is not begun, and leaves no picture, where an update beside it fails before the first change', async () => {
    const host = getHost();
    const [up, next] = [write('kept'), write('never')];
    await succeed(host, 'apply', '--prove', up.file);
    const broken = write('kept', { process: { args: ['/no/such/program'] } });
    const before = await host.snapshot();
    expect((await host.runspec('apply', '--prove', broken.file, next.file)).status).toBe(1);
    expect(await host.settledDiff(before)).toEqual([]);
    expect((await host.runspec('status', next.name)).stderr).toContain(`no container ${next.name} is up`);
    expect((await down(up.name)).status).toBe(0);
  });

  it.each(LEAKS)('of any command names a %s that is left', async (kind, leak, key, undo) => {
    const host = getHost();
    const argv = ['leakcheck', '--json', '--settle', '0ms', '--', 'sh', '-c', leak];
    const { status, stdout, stderr } = await host.runspec(...argv);
    await host.output(['sh', '-c', undo]);
    const { clean, differences } = JSON.parse(stdout) as {
      clean: boolean;
      differences: readonly Difference[];
    };
    expect({ status, clean, stderr }).toEqual({ status: 1, clean: false, stderr: '' });
    const named = differences
      .filter((one) => one.class === kind && one.change === 'new')
      .map((one) => one.key);
    expect(named).toContainEqual(expect.stringMatching(key));
  });

  it('of any command is clean when nothing is left, with the status of the command', async () => {
    const host = getHost();
    const spec = write('around', { network: NETWORK });
    const script = `${process.execPath} ${CLI} --quiet apply ${spec.file} && ${process.execPath} ${CLI} --quiet down ${spec.name}; exit 7`;
    // The first one fills the store of layers, which does not count.
    const { status, stdout } = await host.runspec('leakcheck', '--json', '--', 'sh', '-c', script);
    const found = JSON.parse(stdout) as {
      status: number;
      clean: boolean;
      differences: readonly Difference[];
    };
    // Cgroups are the machine's, and other tests have theirs.
    const isOthers = (one: Difference): boolean => one.class === 'cgroup' && !one.key.includes(host.prefix);
    expect(found.differences.filter((one) => !isOthers(one))).toEqual([]);
    expect(found.status).toBe(7);
    expect(status).toBe(found.clean ? 7 : 1);
    expect((await host.runspec('leakcheck', '--', 'no-such-program')).status).toBe(2);
  });
});

// The harness itself: a throw-away host works, leaves nothing, and the oracle sees a leak of every class.
import fs from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireSystem } from '../support/requirements.ts';
import { diffSnapshots, type Snapshot, type SnapshotClass } from '../support/snapshot.ts';
import { createTestHost, withHost, type TestHost } from '../support/test-host.ts';

const cgroup = fs.existsSync('/sys/fs/cgroup/cgroup.procs') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/pids';

describe.skipIf(!requireSystem())('a throw-away host', () => {
  it('is reached by its remote, and reaches beyond it', async () => {
    const host = await createTestHost();
    try {
      const serve = `require('node:http').createServer((q, a) => a.end('from ' + q.socket.remoteAddress)).listen(80, '0.0.0.0')`;
      const ask = (url: string): readonly string[] => [
        process.execPath,
        '-e',
        `const ask = (left) => fetch('${url}').then(a => a.text()).then(console.log, e => left ? setTimeout(ask, 50, left - 1) : console.log(e)); ask(100)`,
      ];
      await host.start([process.execPath, '-e', serve]);
      expect(await host.remote.output(ask(`http://${host.address}/`))).toBe('from 198.51.100.1\n');
      await host.remote.start([process.execPath, '-e', serve]);
      expect(await host.output(ask(`http://${host.remote.beyond}/`))).toBe('from 198.51.100.2\n');
    } finally {
      await host.destroy();
    }
  });

  it('has processes, mounts, links and netns names of its own, and the machine keeps its files', async () => {
    const host = await createTestHost();
    try {
      expect(await host.output(['sh', '-c', 'ls /run/netns 2>/dev/null; ls /sys/class/net'])).toBe(
        'eth0\nlo\n',
      );
      await host.output(['ip', 'netns', 'add', 'mine']);
      expect(fs.existsSync('/run/netns/mine')).toBe(false);
      expect((await host.exec(['touch', '/etc/runspec-was-here'])).status).not.toBe(0);
      expect(await host.output(['pwd'])).toBe(`${host.folder}\n`);
      expect(await host.output(['hostname'])).toBe('test-host\n');
    } finally {
      await host.destroy();
    }
  });

  it('does not wait for ever for what a command left behind', async () => {
    const host = await createTestHost();
    try {
      await expect(host.exec(['sh', '-c', 'sleep 986 & true'])).rejects.toThrow('holds its output');
    } finally {
      await host.destroy();
    }
  });

  it('gives the process id of a command, so that it can be killed at any moment', async () => {
    const host = await createTestHost();
    try {
      const started = await host.start(['sleep', '1000']);
      // Between fork and execve(2) it is another program, and for a moment it has no arguments.
      await expect
        .poll(() => fs.readFileSync(`/proc/${started.pid}/cmdline`, 'utf8'), { timeout: 20_000 })
        .toContain('sleep');
      started.kill('SIGKILL');
      const { status, signal } = await started.ended;
      expect(signal ?? status).toSatisfy((end) => end === 'SIGKILL' || end === 137);
    } finally {
      await host.destroy();
    }
  });

  it('ends with all it holds: processes, frozen cgroups, files', async () => {
    const host = await createTestHost();
    const group = `/sys/fs/cgroup/freezer/runspec/${host.name('x')}`;
    const { pid } = await host.start(['sh', '-c', 'while :; do sleep 1; done']);
    if (fs.existsSync('/sys/fs/cgroup/freezer')) {
      fs.mkdirSync(group, { recursive: true });
      fs.writeFileSync(`${group}/cgroup.procs`, String(pid));
      fs.writeFileSync(`${group}/freezer.state`, 'FROZEN');
    }
    await host.output(['mount', '-t', 'tmpfs', 'tmpfs', host.stateDir]);
    await host.destroy();
    for (const gone of [`/proc/${pid}`, `/proc/${host.pid}`, host.folder, group])
      expect(fs.existsSync(gone)).toBe(false);
  });

  it('passes a test that cleans up and fails one that does not', async () => {
    await withHost(async (host) => {
      await host.output(['ip', 'link', 'add', 'gone', 'type', 'bridge']);
      await host.output(['ip', 'link', 'delete', 'gone']);
    });
    const leak = withHost(async (host) => {
      await host.output(['ip', 'link', 'add', 'left', 'type', 'bridge']);
    });
    await expect(leak).rejects.toThrow('+ link ifname=left');
  });
});

/** A leak of each class, as a shell command in the host; `$1` is a container name, `$2` the data folder. */
const LEAKS: readonly (readonly [SnapshotClass, string, RegExp])[] = [
  ['mount', 'mount -t tmpfs leak "$2"', /^\+ mount .*leak/],
  ['mount', 'mount --bind /etc "$2"', /^\+ mount .*root=\/etc/],
  ['mount', 'mount --make-shared /run', /^\+ mount \/run .* shared /],
  ['link', 'ip link add leak type bridge', /^\+ link ifname=leak /],
  ['link', 'ip link set eth0 alias runspec:leak', /^\+ link ifname=eth0 ifalias=runspec:leak/],
  ['address', 'ip address add 192.0.2.1/24 dev eth0', /^\+ address eth0 local=192.0.2.1/],
  ['route', 'ip route add 192.0.2.0/24 via 198.51.100.1', /^\+ route .*dst=192.0.2.0\/24/],
  ['route', 'ip route add 192.0.2.0/24 via 198.51.100.1 table 77', /^\+ route .*table=77/],
  ['rule', 'ip rule add from 192.0.2.1 table 77', /^\+ rule -4 .*192.0.2.1/],
  ['nft', 'nft add table inet leak', /^\+ nft table inet leak/],
  [
    'nft',
    'nft add table ip d; nft add set ip d s "{ type ipv4_addr; elements = { 192.0.2.1 comment \\"runspec:x\\" }; }"',
    /runspec:x/,
  ],
  ['netns', 'ip netns add leak', /^\+ netns leak$/],
  ['cgroup', `mkdir -p ${cgroup}/runspec/$1`, /^\+ cgroup .*\/runspec\/t/],
  ['cgroup', `mkdir -p ${cgroup}/runspec/$1/below`, /^\+ cgroup .*\/below$/],
  ['sysctl', 'echo 1 >/proc/sys/net/ipv4/ip_forward', /^\+ sysctl net\/ipv4\/ip_forward=1$/],
  ['sysctl', 'echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet', /^\+ sysctl .*eth0\/route_localnet=1$/],
  ['sysctl', 'hostname leak', /^\+ sysctl kernel\/hostname=leak$/],
  ['process', 'sleep 987 >/dev/null 2>&1 &', /^\+ process sleep sleep 987$/],
  ['file', 'echo text >"$2/leak"', /^\+ file .*\/leak file 644 0:0 5 bytes/],
  ['file', 'mkdir /run/leak', /^\+ file \/run\/leak folder/],
  ['file', 'ln -s /etc /dev/shm/leak', /^\+ file \/dev\/shm\/leak symlink .*-> \/etc$/],
  ['file', 'chmod 755 "$2"', /^\+ file .*\/data folder 755/],
  ['file', 'mkfifo "$2/leak"', /^\+ file .*\/leak special/],
];

const LISTENERS = {
  tcp: `require('node:net').createServer().listen(8080, '0.0.0.0', () => console.log('up'))`,
  udp: `require('node:dgram').createSocket('udp4').bind(5353, () => console.log('up'))`,
  unix: `require('node:net').createServer().listen('/run/leak.sock', () => console.log('up'))`,
};

describe.skipIf(!requireSystem())('the oracle', () => {
  it('finds no difference where nothing happened, whatever commands ran', async () => {
    await withHost(async (host) => {
      await host.output(['ip', '-json', 'link']);
      await host.remote.output(['ip', 'route']);
    });
  });

  it.each(LEAKS)('sees a leaked %s: %s', async (name, leak, line) => {
    const host = await createTestHost();
    try {
      const before = await host.snapshot();
      await host.output(['sh', '-ec', `exec 2>&1; ${leak}`, 'sh', host.name('leak'), host.dataDir]);
      const found = diffSnapshots(before, await host.snapshot());
      expect(found.filter((difference) => difference.split(' ')[1] === name)).toContainEqual(
        expect.stringMatching(line),
      );
    } finally {
      await host.destroy();
    }
  });

  it.each(Object.entries(LISTENERS))('sees a leaked socket: %s', async (kind, script) => {
    const host = await createTestHost();
    try {
      const before = await host.snapshot();
      const { written } = await host.start([process.execPath, '-e', script]);
      await expect.poll(written, { timeout: 10_000 }).toBe('up\n');
      const found = diffSnapshots(before, await host.snapshot());
      const line = {
        tcp: /^\+ socket tcp LISTEN 0.0.0.0:8080/,
        udp: /^\+ socket udp UNCONN 0.0.0.0:5353/,
        unix: /leak.sock/,
      };
      expect(found).toContainEqual(expect.stringMatching(line[kind as keyof typeof line]));
    } finally {
      await host.destroy();
    }
  });
});

describe.skipIf(!requireSystem())('the oracle, changed things', () => {
  let host: TestHost;
  let before: Snapshot;
  beforeAll(async () => {
    host = await createTestHost();
    host.write('data/site/index.html', 'one');
    await host.output([
      'nft',
      'add table inet other; add chain inet other c; add rule inet other c tcp dport 1 accept',
    ]);
    await host.output(['nft', 'add rule inet other c tcp dport 2 accept']);
    before = await host.snapshot();
  });
  afterAll(() => host.destroy());

  it('sees that a file of the same size has another text', async () => {
    host.write('data/site/index.html', 'two');
    expect(diffSnapshots(before, await host.snapshot()).map((line) => line[0])).toEqual(['-', '+']);
    host.write('data/site/index.html', 'one');
    expect(diffSnapshots(before, await host.snapshot())).toEqual([]);
  });

  it('sees what is gone: an address of the uplink', async () => {
    await host.output(['ip', 'address', 'delete', '198.51.100.2/24', 'dev', 'eth0']);
    const found = diffSnapshots(before, await host.snapshot());
    expect(found).toContainEqual(expect.stringMatching(/^- address eth0 local=198.51.100.2/));
    expect(found).toContainEqual(expect.stringMatching(/^- route .*dst=default/));
  });

  it('sees that the rules of a chain changed places', async () => {
    await host.output([
      'nft',
      'flush chain inet other c; add rule inet other c tcp dport 2 accept; add rule inet other c tcp dport 1 accept',
    ]);
    const found = diffSnapshots(before, await host.snapshot());
    expect(found).toContain('~ nft in another order');
  });
});

// A machine in memory: files, mounts, network, firewall, and the kernel's links between them. It outlives
// the runspec processes that a test starts on it.
import path from 'node:path';
import { createFakeFiles, type FakeFiles } from './files.ts';
import { createFakeFirewall, type FakeFirewall } from './firewall.ts';
import { createFakeMounts, type FakeMounts } from './mounts.ts';
import { createFakeNetwork, type FakeNetwork } from './network.ts';

export interface FakeMachine {
  readonly files: FakeFiles;
  readonly mounts: FakeMounts;
  readonly network: FakeNetwork;
  readonly firewall: FakeFirewall;
  /** Everything there is, sorted: equal dumps mean that nothing was left or lost. */
  dump(): readonly string[];
  /** @returns what brings the machine back to how it is now, as often as it is called. */
  keep(): () => void;
}

/** The kernel's files in a cgroup of each hierarchy, as new ones have them; hybrid, as on many CI machines. */
const CGROUPS = {
  '/sys/fs/cgroup/cpu': {
    'cgroup.procs': '',
    'cpu.cfs_quota_us': '-1\n',
    'cpu.cfs_period_us': '100000\n',
    'cpu.shares': '1024\n',
  },
  '/sys/fs/cgroup/cpuset': { 'cgroup.procs': '', 'cpuset.cpus': '', 'cpuset.mems': '' },
  '/sys/fs/cgroup/memory': {
    'cgroup.procs': '',
    'memory.limit_in_bytes': '9223372036854771712\n',
    'memory.memsw.limit_in_bytes': '9223372036854771712\n',
  },
  '/sys/fs/cgroup/pids': { 'cgroup.procs': '', 'pids.max': 'max\n' },
  '/sys/fs/cgroup/freezer': { 'cgroup.procs': '', 'freezer.state': 'THAWED\n' },
  '/sys/fs/cgroup/unified': {
    'cgroup.procs': '',
    'cgroup.controllers': 'cpu memory pids\n',
    'cgroup.subtree_control': '',
    'cgroup.freeze': '0\n',
    'cpu.max': 'max 100000\n',
    'memory.max': 'max\n',
    'pids.max': 'max\n',
  },
} as const;

const CONF = '/proc/sys/net/ipv4/conf';
const CONF6 = '/proc/sys/net/ipv6/conf';

export function createFakeMachine(): FakeMachine {
  const files = createFakeFiles(CGROUPS, (file, text) => {
    // addrconf.c, addrconf_fixup_forwarding: so is its counterpart of IPv6.
    if (file === `${CONF6}/all/forwarding`)
      for (const name of files.names(CONF6) ?? [])
        files.put(`${CONF6}/${name}/forwarding`, `${text}\n`, { mode: 0o644 });
    const link = /^\/proc\/sys\/net\/ipv6\/conf\/([^/]+)\/disable_ipv6$/.exec(file)?.[1];
    if (link !== undefined) network.disableIpv6('', link, text !== '0');
    // devinet.c, inet_forward_change: ip_forward is written through to every interface.
    if (file !== '/proc/sys/net/ipv4/ip_forward') return;
    for (const name of files.names(CONF) ?? [])
      files.put(`${CONF}/${name}/forwarding`, `${text}\n`, { mode: 0o644 });
    files.put(`${CONF}/all/accept_redirects`, text === '1' ? '0\n' : '1\n', { mode: 0o644 });
  });
  const addLinkFolder = (name: string): void => {
    makeFolders(files, `${CONF}/${name}`);
    for (const key of ['forwarding', 'route_localnet', 'accept_redirects', 'promote_secondaries']) {
      files.put(`${CONF}/${name}/${key}`, key === 'accept_redirects' ? '1\n' : '0\n', { mode: 0o644 });
    }
    // devinet.c, inetdev_init: so is that of IPv4.
    const forwards = files.read('/proc/sys/net/ipv4/ip_forward') ?? '0\n';
    files.put(`${CONF}/${name}/forwarding`, forwards, { mode: 0o644 });
    makeFolders(files, `${CONF6}/${name}`);
    // addrconf_add_dev takes over what `default` has.
    const forwarding = files.read(`${CONF6}/default/forwarding`) ?? '0\n';
    for (const [key, text] of Object.entries({ forwarding, accept_ra: '1\n', disable_ipv6: '0\n' }))
      files.put(`${CONF6}/${name}/${key}`, text, { mode: 0o644 });
  };
  for (const folder of [
    '/run',
    '/tmp',
    '/var/lib',
    '/etc',
    '/usr/bin',
    '/proc/sys/kernel/random',
    ...Object.keys(CGROUPS),
  ]) {
    makeFolders(files, folder);
  }
  files.put('/proc/sys/kernel/random/boot_id', '11111111-2222-3333-4444-555555555555\n', { mode: 0o444 });
  makeFolders(files, '/proc/self/ns');
  files.makeSymlink('pid:[4026531836]', '/proc/self/ns/pid');
  for (const name of ['all', 'default']) addLinkFolder(name);
  files.put('/proc/sys/net/ipv4/ip_forward', '0\n', { mode: 0o644 });
  for (const [root, own] of Object.entries(CGROUPS)) {
    for (const [name, text] of Object.entries(own)) files.put(`${root}/${name}`, text, { mode: 0o644 });
  }
  // Only the root of a v1 cpuset hierarchy has all CPUs by itself.
  files.put('/sys/fs/cgroup/cpuset/cpuset.cpus', '0-1\n', { mode: 0o644 });
  files.put('/sys/fs/cgroup/cpuset/cpuset.mems', '0\n', { mode: 0o644 });

  const mounts = createFakeMounts();
  for (const target of Object.keys(CGROUPS)) {
    const controller = target.slice(target.lastIndexOf('/') + 1);
    const isUnified = controller === 'unified';
    mounts.add({
      target,
      type: isUnified ? 'cgroup2' : 'cgroup',
      source: 'cgroup',
      options: isUnified ? 'rw' : `rw,${controller}`,
    });
  }
  const network = createFakeNetwork({
    onLink(name, isThere) {
      if (isThere) addLinkFolder(name);
      else {
        for (const conf of [CONF, CONF6]) files.drop(`${conf}/${name}`);
        firewall.forgetLink(name);
      }
    },
    promotes: (name) => files.read(`${CONF}/${name}/promote_secondaries`)?.trim() === '1',
  });
  const firewall = createFakeFirewall((name) => network.hasLink(name));
  return {
    files,
    mounts,
    network,
    firewall,
    dump: () => [...files.dump(), ...mounts.dump(), ...network.dump(), ...firewall.dump()].toSorted(),
    keep() {
      const parts = [files, mounts, network, firewall].map((part) => part.keep());
      return () => {
        for (const restore of parts) restore();
      };
    },
  };
}

function makeFolders(files: FakeFiles, folder: string): void {
  if (files.find(folder) !== undefined) return;
  makeFolders(files, path.dirname(folder));
  files.makeDirectory(folder, { mode: 0o755 });
}

// One step of each kind that a fake machine can carry out, with what must be there before it.
import { FIREWALL } from '../../src/plan/firewall.ts';
import type { OpKind, Step, StepOf } from '../../src/plan/plan.ts';

const base = { needs: [], after: [] } as const;

export const STEPS = {
  directory: { ...base, id: 'dir', op: 'directory', path: '/run/one', mode: 0o711, removal: 'tree' },
  file: { ...base, id: 'file', op: 'file', path: '/run/hosts', text: 'one\n', mode: 0o644, inPlace: true },
  'private-mount': { ...base, id: 'mount:state', op: 'private-mount', path: '/run/runspec', shared: true },
  overlay: {
    ...base,
    id: 'overlay:rootfs',
    op: 'overlay',
    target: '/run/root',
    lower: ['/srv/a:b', '/srv/c,d'],
    upper: '/run/upper',
    work: '/run/work',
  },
  controller: {
    ...base,
    id: 'controller:pids',
    op: 'controller',
    mountpoint: '/sys/fs/cgroup/unified',
    controller: 'pids',
    shared: true,
  },
  cgroup: {
    ...base,
    id: 'cgroup:/runspec/web',
    op: 'cgroup',
    path: '/runspec/web',
    hierarchies: [
      {
        version: 1,
        mountpoint: '/sys/fs/cgroup/cpu',
        controllers: ['cpu'],
        files: [{ name: 'cpu.cfs_quota_us', value: '10000' }],
      },
      {
        version: 1,
        mountpoint: '/sys/fs/cgroup/cpuset',
        controllers: ['cpuset'],
        files: [{ name: 'cpuset.cpus', value: '0' }],
      },
      {
        version: 1,
        mountpoint: '/sys/fs/cgroup/memory',
        controllers: ['memory'],
        files: [
          { name: 'memory.limit_in_bytes', value: '10485760' },
          { name: 'memory.memsw.limit_in_bytes', value: '10485760' },
        ],
      },
      {
        version: 2,
        mountpoint: '/sys/fs/cgroup/unified',
        controllers: ['pids'],
        files: [{ name: 'pids.max', value: '10' }],
      },
    ],
  },
  'netns-folder': { ...base, id: 'mount:/run/netns', op: 'netns-folder', shared: true },
  netns: { ...base, id: 'netns:runspec-web', op: 'netns', name: 'runspec-web' },
  bridge: {
    ...base,
    id: 'bridge:runspec0',
    op: 'bridge',
    name: 'runspec0',
    address: '10.209.0.1/24',
    mtu: 1500,
    shared: true,
  },
  veth: {
    ...base,
    id: 'veth:eth0',
    op: 'veth',
    link: 'rs4b5e57f6',
    alias: 'runspec:web',
    netns: 'runspec-web',
    interface: 'eth0',
    mtu: 1500,
    mac: '02:42:0a:d1:00:02',
    bridge: 'runspec0',
  },
  address: {
    ...base,
    id: 'address:eth0',
    op: 'address',
    netns: 'runspec-web',
    interface: 'eth0',
    address: '10.209.0.2/24',
    gateway: '10.209.0.1',
  },
  sysctl: {
    ...base,
    id: 'sysctl:net.ipv4.ip_forward',
    op: 'sysctl',
    key: 'net.ipv4.ip_forward',
    value: '1',
    shared: true,
  },
  'nft-table': { ...base, id: 'nft:table', op: 'nft-table', table: 'runspec', ...FIREWALL, shared: true },
  'nft-element': {
    ...base,
    id: 'port:tcp/8080',
    op: 'nft-element',
    table: 'runspec',
    set: 'ports',
    key: 'tcp . 8080',
    value: '10.209.0.2 . 80',
    comment: 'runspec:web',
  },
  'nft-ingress': {
    ...base,
    id: 'ingress:rs4b5e57f6',
    op: 'nft-ingress',
    table: 'runspec-web',
    link: 'rs4b5e57f6',
    address: 'fd00:209::2',
    loopback: 'fd72:756e:7370::1',
  },
} as const satisfies { readonly [K in OpKind]?: StepOf<K> };

export type TestedKind = keyof typeof STEPS;

/** Kinds whose objects a step stands on. */
export const FOUNDATIONS: Readonly<Partial<Record<TestedKind, readonly TestedKind[]>>> = {
  cgroup: ['controller'],
  netns: ['netns-folder'],
  veth: ['netns-folder', 'netns', 'bridge'],
  address: ['netns-folder', 'netns', 'bridge', 'veth'],
  'nft-element': ['nft-table'],
  'nft-ingress': ['netns-folder', 'netns', 'bridge', 'veth'],
};

export function stepOf(kind: TestedKind): Step {
  return STEPS[kind];
}

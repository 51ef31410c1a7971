// Two containers on one bridge as plans: every kind of step that a fake machine can carry out.
import { FIREWALL } from '../../src/plan/firewall.ts';
import { PLAN_VERSION, type Plan, type Step } from '../../src/plan/plan.ts';

const STATE = '/run/runspec';
const DATA = '/var/lib/runspec';

const edges = (
  needs: readonly string[] = [],
  after: readonly string[] = [],
): Pick<Step, 'needs' | 'after'> => ({ needs, after });

export function planOf(name: string, address: string, hostPort: number): Plan {
  const netns = `runspec-${name}`;
  const folder = `${STATE}/${name}`;
  // Names that runspec itself gives to what is in there: nothing else is taken for its own.
  const own = `${DATA}/containers/${name}`;
  const link = `rs0000000${hostPort % 10}`;
  const element = (
    id: string,
    set: string,
    key: string,
    value: string | undefined,
    comment: string,
  ): Step => ({
    id,
    op: 'nft-element',
    ...edges(['nft-table:runspec']),
    table: 'runspec',
    set,
    key,
    ...(value === undefined ? {} : { value }),
    comment,
  });
  const steps: readonly Step[] = [
    { id: 'mount:state', op: 'private-mount', ...edges(), path: STATE, shared: true },
    {
      id: 'dir:container',
      op: 'directory',
      ...edges(['mount:state']),
      path: folder,
      mode: 0o700,
      removal: 'empty',
    },
    {
      id: 'dir:rootfs',
      op: 'directory',
      ...edges(['dir:container']),
      path: `${folder}/rootfs`,
      mode: 0o755,
      removal: 'empty',
    },
    { id: 'dir:upper', op: 'directory', ...edges(), path: `${own}/writable`, mode: 0o755, removal: 'tree' },
    { id: 'dir:work', op: 'directory', ...edges(), path: `${own}/bundle`, mode: 0o700, removal: 'tree' },
    {
      id: 'mount:rootfs',
      op: 'overlay',
      ...edges(['dir:rootfs', 'dir:upper', 'dir:work']),
      target: `${folder}/rootfs`,
      lower: ['/usr'],
      upper: `${own}/writable`,
      work: `${own}/bundle`,
    },
    {
      id: 'file:hosts',
      op: 'file',
      ...edges(['dir:upper']),
      path: `${own}/log`,
      text: '127.0.0.1 localhost\n',
      mode: 0o644,
      inPlace: true,
    },
    {
      id: 'cgroup',
      op: 'cgroup',
      ...edges(),
      path: `/runspec/${name}`,
      hierarchies: [
        {
          version: 1,
          mountpoint: '/sys/fs/cgroup/cpu',
          controllers: ['cpu'],
          files: [{ name: 'cpu.cfs_quota_us', value: '10000' }],
        },
        { version: 1, mountpoint: '/sys/fs/cgroup/cpuset', controllers: ['cpuset'], files: [] },
        {
          version: 1,
          mountpoint: '/sys/fs/cgroup/memory',
          controllers: ['memory'],
          files: [
            { name: 'memory.limit_in_bytes', value: '524288000' },
            { name: 'memory.memsw.limit_in_bytes', value: '524288000' },
          ],
        },
        { version: 2, mountpoint: '/sys/fs/cgroup/unified', controllers: [], files: [] },
      ],
    },
    { id: 'netns-folder', op: 'netns-folder', ...edges(), shared: true },
    { id: 'netns', op: 'netns', ...edges(['netns-folder']), name: netns },
    {
      id: 'bridge:runspec0',
      op: 'bridge',
      ...edges(),
      name: 'runspec0',
      address: '10.209.0.1/24',
      mtu: 1500,
      shared: true,
    },
    {
      id: 'veth:eth0',
      op: 'veth',
      ...edges(['netns', 'bridge:runspec0']),
      link,
      alias: `runspec:${name}`,
      netns,
      interface: 'eth0',
      mtu: 1500,
      mac: '02:42:0a:d1:00:02',
      bridge: 'runspec0',
    },
    {
      id: 'address:eth0',
      op: 'address',
      ...edges(['veth:eth0']),
      netns,
      interface: 'eth0',
      address: `${address}/24`,
      gateway: '10.209.0.1',
    },
    {
      id: 'sysctl:ip_forward',
      op: 'sysctl',
      ...edges(),
      key: 'net.ipv4.ip_forward',
      value: '1',
      shared: true,
    },
    { id: 'nft-table:runspec', op: 'nft-table', ...edges(), table: 'runspec', ...FIREWALL, shared: true },
    { ...element('nft:networks', 'networks', 'runspec0', undefined, 'runspec'), shared: true },
    element(`nat:${address}`, 'sources', address, undefined, `runspec:${name}`),
    element(`port:tcp/${hostPort}`, 'ports', `tcp . ${hostPort}`, `${address} . 80`, `runspec:${name}`),
  ];
  return {
    version: PLAN_VERSION,
    name,
    specDigest: `digest of ${name} on ${hostPort}`,
    runtime: { name: 'runc', path: '/usr/sbin/runc' },
    ports: [],
    steps,
  };
}

// Links, addresses and namespaces: drift is named; those of others are let alone.
import { describe, expect, it } from 'vitest';
import { createFakeOps, drift, up } from './fake-context.ts';
import { stepOf, STEPS, type TestedKind } from './steps.ts';

const LINKED = ['netns-folder', 'netns', 'bridge', 'veth', 'address'] as const;

interface DriftCase {
  readonly title: string;
  readonly kind: TestedKind;
  readonly netns?: string;
  readonly ip: string;
  readonly found: object;
}

const DRIFTS: readonly DriftCase[] = [
  {
    title: 'a bridge that is down',
    kind: 'bridge',
    ip: 'link set dev runspec0 down',
    found: drift(['state', 'up', 'down']),
  },
  {
    title: 'a bridge with another mtu',
    kind: 'bridge',
    ip: 'link set dev runspec0 mtu 1400',
    found: drift(['mtu', '1500', '1400']),
  },
  {
    title: 'a bridge without its address',
    kind: 'bridge',
    ip: 'addr del 10.209.0.1/24 dev runspec0',
    found: drift(['address', '10.209.0.1/24', 'none']),
  },
  {
    title: 'a bridge without the route to its subnet',
    kind: 'bridge',
    ip: 'route del 10.209.0.0/24 dev runspec0',
    found: drift(['route', '10.209.0.0/24', 'none']),
  },
  {
    title: 'a veth that left the bridge',
    kind: 'veth',
    ip: 'link set dev rs4b5e57f6 nomaster',
    found: drift(['master', 'runspec0', 'none']),
  },
  {
    title: 'a port of the bridge that was disabled',
    kind: 'veth',
    ip: 'link set dev rs4b5e57f6 type bridge_slave state 0',
    found: drift(['port', 'enabled', 'disabled']),
  },
  {
    title: 'a loopback without its address',
    kind: 'netns',
    netns: 'runspec-web',
    ip: 'addr del 127.0.0.1/8 dev lo',
    found: drift(['lo', '127.0.0.1/8', 'missing']),
  },
  {
    title: 'a veth with another mtu',
    kind: 'veth',
    ip: 'link set dev rs4b5e57f6 mtu 900',
    found: drift(['mtu', '1500', '900']),
  },
  {
    title: 'an interface with another mac',
    kind: 'veth',
    netns: 'runspec-web',
    ip: 'link set dev eth0 address 02:00:00:00:00:99',
    found: drift(['eth0 mac', '02:42:0a:d1:00:02', '02:00:00:00:00:99']),
  },
  {
    title: 'an interface without its address',
    kind: 'address',
    netns: 'runspec-web',
    ip: 'addr del 10.209.0.2/24 dev eth0',
    found: drift(['address', '10.209.0.2/24', 'none']),
  },
  {
    title: 'another default route',
    kind: 'address',
    netns: 'runspec-web',
    ip: 'route replace default via 10.209.0.77 dev eth0',
    found: drift(['default route', '10.209.0.1', '10.209.0.77']),
  },
  {
    title: 'an interface without the route to its subnet',
    kind: 'address',
    netns: 'runspec-web',
    ip: 'route del 10.209.0.0/24 dev eth0',
    found: drift(['route', '10.209.0.0/24', 'none']),
  },
  {
    title: 'an interface without any route',
    kind: 'address',
    netns: 'runspec-web',
    ip: 'route flush table main',
    found: drift(['route', '10.209.0.0/24', 'none'], ['default route', '10.209.0.1', 'none']),
  },
  {
    title: 'a loopback that is down',
    kind: 'netns',
    netns: 'runspec-web',
    ip: 'link set dev lo down',
    found: drift(['lo', 'up', 'down']),
  },
];

describe('drift', () => {
  it('of a bridge that does not forward while the host does is named and mended in place', async () => {
    const ops = await up(...LINKED, 'sysctl');
    const whole = ops.machine.dump();
    ops.machine.files.write('/proc/sys/net/ipv4/conf/runspec0/forwarding', '0');
    expect(await ops.probe(STEPS.bridge)).toEqual(drift(['forwarding', '1', '0']));
    await ops.update(STEPS.bridge);
    expect(ops.machine.dump()).toEqual(whole);
  });

  it.each(DRIFTS)('of $title is named and mended in place', async ({ kind, netns = '', ip, found }) => {
    const ops = await up(...LINKED);
    const whole = ops.machine.dump();
    ops.ip(netns, ip);
    expect(await ops.probe(stepOf(kind))).toEqual(found);
    await ops.update(stepOf(kind));
    expect(await ops.probe(stepOf(kind))).toMatchObject({ state: 'present' });
    expect(ops.machine.dump()).toEqual(whole);
  });

  it('of half a pair cannot be mended in place', async () => {
    const ops = await up(...LINKED);
    await ops.revert(stepOf('netns'));
    await ops.apply(stepOf('netns'));
    ops.ip('', 'link add rs4b5e57f6 type veth peer name other');
    expect(await ops.probe(stepOf('veth'))).toMatchObject({
      state: 'drifted',
      inPlace: false,
      differences: [{ property: 'link', wanted: 'eth0', found: 'missing' }],
    });
  });
});

describe('a network namespace', () => {
  it('that a kill left as a file is made whole', async () => {
    const ops = await up('netns-folder');
    ops.machine.files.put('/run/netns/runspec-web', '');
    expect(await ops.probe(STEPS.netns)).toEqual({ state: 'absent' });
    await ops.apply(STEPS.netns);
    expect(await ops.probe(STEPS.netns)).toMatchObject({ state: 'present' });
  });

  it('leaves its folder to others that are in it', async () => {
    const ops = createFakeOps();
    const before = await ops.apply(STEPS['netns-folder']);
    ops.machine.files.put('/run/netns/theirs', '');
    expect(await ops.revert(STEPS['netns-folder'], before)).toEqual({
      outcome: 'kept',
      reason: 'it still holds theirs',
    });
  });

  it('leaves a folder that was there before, also when nothing is known of it', async () => {
    const ops = await up('netns-folder');
    const clean = ops.machine.dump();
    expect(await ops.revert(STEPS['netns-folder'], { mounted: true, existed: true })).toMatchObject({
      outcome: 'kept',
    });
    expect(await ops.revert(STEPS['netns-folder'])).toMatchObject({ outcome: 'kept' });
    expect(ops.machine.dump()).toEqual(clean);
  });
});

describe('/run/netns', () => {
  it('is not mounted over a name that came while another runspec unmounted it', async () => {
    const ops = await up('netns-folder');
    const folder = { target: '/run/netns', type: 'ext4', source: '/dev/root', root: '/run/netns' };
    ops.machine.mounts.remove(folder.target);
    expect(await ops.probe(STEPS['netns-folder'])).toEqual({ state: 'absent' });
    ops.machine.mounts.add({ ...folder, target: '/run/netns/runspec-web', type: 'nsfs', root: 'net:[1]' });
    expect(await ops.probe(STEPS['netns-folder'])).toMatchObject({ state: 'present' });
    await ops.apply(STEPS['netns-folder']);
    expect(ops.machine.mounts.has(folder.target)).toBe(false);
  });
});

// The IPv6 half of links, addresses and sysctls: drift is named and mended, and what others have set stays.
import { describe, expect, it } from 'vitest';
import { opOf } from '../../src/ops/index.ts';
import type { Step } from '../../src/plan/plan.ts';
import { createFakeOps, type FakeOps } from './fake-context.ts';
import { stepOf, STEPS } from './steps.ts';

const { bridge: _bridge, ...PAIR } = STEPS.veth;

const BRIDGE = { ...STEPS.bridge, address6: 'fd00:209::1/64' } as const;
const POINT_TO_POINT = { ...PAIR, address: '10.209.0.1/24', address6: 'fd00:209::1/64' } as const;
const ADDRESS = { ...STEPS.address, address6: 'fd00:209::2/64', gateway6: 'fd00:209::1' } as const;
const INGRESS = STEPS['nft-ingress'];
const FORWARDING = {
  ...STEPS.sysctl,
  id: 'sysctl:net.ipv6.conf.all.forwarding',
  key: 'net.ipv6.conf.all.forwarding',
} as const;
const CONF = '/proc/sys/net/ipv6/conf';

async function up(...steps: readonly Step[]): Promise<FakeOps> {
  const ops = createFakeOps();
  for (const kind of ['netns-folder', 'netns'] as const) await ops.apply(stepOf(kind));
  for (const step of steps) await ops.apply(step);
  return ops;
}

const BRIDGED = [BRIDGE, STEPS.veth, ADDRESS, INGRESS];

interface DriftCase {
  readonly title: string;
  readonly step: Step;
  /** What makes it differ. */
  readonly break: (ops: FakeOps) => void;
  readonly found: readonly (readonly [string, string, string])[];
}

const DRIFTS: readonly DriftCase[] = [
  {
    title: 'a bridge without its address',
    step: BRIDGE,
    break: (ops) => ops.ip('', 'addr del fd00:209::1/64 dev runspec0'),
    found: [['address6', 'fd00:209::1/64', 'fe80::42:aff:fed1:1/64']],
  },
  {
    title: 'a bridge that is down, which takes its IPv6 address',
    step: BRIDGE,
    break: (ops) => ops.ip('', 'link set dev runspec0 down'),
    found: [
      ['state', 'up', 'down'],
      ['address6', 'fd00:209::1/64', 'none'],
    ],
  },
  {
    title: 'a bridge that listens to router advertisements',
    step: BRIDGE,
    break: (ops) => ops.machine.files.write(`${CONF}/runspec0/accept_ra`, '2'),
    found: [['accept_ra', '0', '2']],
  },
  {
    title: 'an interface without its address',
    step: ADDRESS,
    break: (ops) => ops.ip('runspec-web', 'addr del fd00:209::2/64 dev eth0'),
    found: [['address6', 'fd00:209::2/64', 'none']],
  },
  {
    title: 'a bridge without the route to its subnet',
    step: BRIDGE,
    break: (ops) => ops.ip('', 'route del fd00:209::/64 dev runspec0'),
    found: [['route6', 'fd00:209::/64', 'none']],
  },
  {
    title: 'a bridge on which IPv6 was switched off',
    step: BRIDGE,
    break: (ops) => ops.machine.files.write(`${CONF}/runspec0/disable_ipv6`, '1'),
    found: [
      ['address6', 'fd00:209::1/64', 'none'],
      ['disable_ipv6', '0', '1'],
    ],
  },
  {
    title: 'an interface on which IPv6 was switched off',
    step: ADDRESS,
    break: (ops) => ops.machine.network.disableIpv6('runspec-web', 'eth0', true),
    found: [
      ['address6', 'fd00:209::2/64', 'none'],
      ['default route6', 'fd00:209::1', 'none'],
    ],
  },
  {
    title: 'an interface without any route',
    step: ADDRESS,
    break: (ops) => ops.ip('runspec-web', 'route flush table main'),
    found: [
      ['route', '10.209.0.0/24', 'none'],
      ['route6', 'fd00:209::/64', 'none'],
      ['default route', '10.209.0.1', 'none'],
      ['default route6', 'fd00:209::1', 'none'],
    ],
  },
  {
    title: 'an interface without its default route',
    step: ADDRESS,
    break: (ops) => ops.ip('runspec-web', 'route flush default'),
    found: [['default route6', 'fd00:209::1', 'none']],
  },
  {
    title: 'an interface with another default route',
    step: ADDRESS,
    break: (ops) => ops.ip('runspec-web', 'route replace default via fd00:209::99 dev eth0'),
    found: [['default route6', 'fd00:209::1', 'fd00:209::99']],
  },
  {
    title: 'a way back to ::1 that leads nowhere',
    step: INGRESS,
    break: (ops) =>
      ops.machine.firewall.load('delete table netdev runspec-web\nadd table netdev runspec-web\n'),
    found: [['chain loopback', 'one rule of ours', 'another or none']],
  },
];

describe('drift of IPv6', () => {
  it.each(DRIFTS)('in $title is named and mended in place', async ({ step, break: change, found }) => {
    const ops = await up(...BRIDGED);
    const whole = ops.machine.dump();
    change(ops);
    expect(await ops.probe(step)).toEqual({
      state: 'drifted',
      inPlace: true,
      differences: found.map(([property, wanted, is]) => ({ property, wanted, found: is })),
    });
    await ops.update(step);
    expect(await ops.probe(step)).toMatchObject({ state: 'present' });
    expect(ops.machine.dump()).toEqual(whole);
  });

  it.each<readonly [string, (ops: FakeOps) => void, object]>([
    [
      'its address',
      (ops) => ops.ip('', 'addr del fd00:209::1/64 dev rs4b5e57f6'),
      { property: 'address', wanted: 'fd00:209::1/64', found: 'missing' },
    ],
    [
      'IPv6',
      (ops) => ops.machine.files.write(`${CONF}/rs4b5e57f6/disable_ipv6`, '1'),
      { property: 'disable_ipv6', wanted: '0', found: '1' },
    ],
    [
      'the route to its subnet',
      (ops) => ops.ip('', 'route del 10.209.0.0/24 dev rs4b5e57f6'),
      { property: 'route', wanted: '10.209.0.0/24', found: 'none' },
    ],
    [
      'its refusal of router advertisements',
      (ops) => ops.machine.files.write(`${CONF}/rs4b5e57f6/accept_ra`, '1'),
      { property: 'accept_ra', wanted: '0', found: '1' },
    ],
  ])('of a point to point link that lost %s is named and mended in place', async (_, change, difference) => {
    const ops = await up(POINT_TO_POINT, ADDRESS);
    const whole = ops.machine.dump();
    change(ops);
    expect(await ops.probe(POINT_TO_POINT)).toMatchObject({
      state: 'drifted',
      differences: expect.arrayContaining([difference]) as unknown,
    });
    await ops.update(POINT_TO_POINT);
    expect(ops.machine.dump()).toEqual(whole);
  });
});

describe('a foreign bridge on which IPv6 is switched off', () => {
  it('is left as it is, with a hint', async () => {
    const ops = createFakeOps();
    ops.ip('', 'link add runspec0 type bridge');
    ops.machine.files.write(`${CONF}/runspec0/disable_ipv6`, '1');
    const clean = ops.machine.dump();
    await expect(ops.apply(BRIDGE)).rejects.toMatchObject({
      message: 'IPv6 is switched off on the bridge runspec0',
      hint: `echo 0 > ${CONF}/runspec0/disable_ipv6; or set network.ipv6 to false`,
    });
    expect(ops.machine.dump()).toEqual(clean);
  });
});

describe('a change of IPv6', () => {
  it('takes address and route away with it, and leaves IPv4', async () => {
    const ops = await up(STEPS.bridge, STEPS.veth, STEPS.address);
    const without = ops.machine.dump();
    await ops.update(ADDRESS, STEPS.address);
    await ops.update(STEPS.address, ADDRESS);
    expect(ops.machine.dump()).toEqual(without);
  });

  it('of a bridge takes the former address away', async () => {
    const ops = await up(BRIDGE);
    await ops.update({ ...BRIDGE, address6: 'fd00:210::1/64' }, BRIDGE);
    const found = (await ops.context().view.link('runspec0'))?.addresses.map((one) => one.address);
    expect(found?.filter((one) => !one.startsWith('fe80:'))).toEqual(['10.209.0.1', 'fd00:210::1']);
  });
});

describe('a link-local address', () => {
  // Until duplicate address detection ends the host asks nobody behind the link.
  it.each<readonly [string, Step, string, string]>([
    ['a bridge', BRIDGE, 'runspec0', 'fe80::42:aff:fed1:1/64'],
    ['a point to point link', POINT_TO_POINT, 'rs4b5e57f6', 'fe80::fc42:aff:fed1:2/64'],
  ])('of %s is there from the start, before the link is up', async (_, step, name, address) => {
    const ops = await up(step);
    const found = (await ops.context().view.link(name))?.addresses;
    expect(found?.map((one) => `${one.address}/${one.prefix}`)).toContain(address);
    const script = opOf(step).toShell(step);
    const added = script.findIndex((line) => line.includes(' fe80::') && line.endsWith(' nodad'));
    expect(added).toBeGreaterThan(0);
    expect(added).toBeLessThan(script.findIndex((line) => line.endsWith(' up')));
  });

  it('of a bridge of somebody else is his own matter', async () => {
    const ops = createFakeOps();
    ops.ip('', 'link add runspec0 type bridge');
    await ops.apply(BRIDGE);
    const found = (await ops.context().view.link('runspec0'))?.addresses.map((one) => one.address);
    expect(found).toEqual(['10.209.0.1', 'fd00:209::1']);
  });
});

describe('router advertisements', () => {
  it.each<readonly [string, Step, string]>([
    ['a bridge', STEPS.bridge, 'runspec0'],
    ['a point to point link', { ...PAIR, address: '10.209.0.1/24' }, 'rs4b5e57f6'],
  ])('of a container without IPv6 are not listened to by %s either', async (_, step, link) => {
    const { machine } = await up(step);
    expect(machine.files.read(`${CONF}/${link}/accept_ra`)).toBe('0\n');
  });

  it('are listened to by a foreign bridge as before', async () => {
    const ops = createFakeOps();
    ops.ip('', 'link add runspec0 type bridge');
    await ops.apply(BRIDGE);
    expect(ops.machine.files.read(`${CONF}/runspec0/accept_ra`)).toBe('1\n');
  });

  it.each([
    ['1', '2'],
    ['0', '0'],
    ['2', '2'],
  ])('with accept_ra %s go on as %s while the host forwards, and are as before after', async (was, is) => {
    const ops = await up(BRIDGE);
    ops.ip('', 'link add lan0 type bridge');
    ops.machine.files.write(`${CONF}/lan0/accept_ra`, was);
    const clean = ops.machine.dump();
    const before = await ops.apply(FORWARDING);
    expect(ops.machine.files.read(`${CONF}/lan0/accept_ra`)).toBe(`${is}\n`);
    expect(ops.machine.files.read(`${CONF}/runspec0/accept_ra`)).toBe('0\n');
    expect(await ops.revert(FORWARDING, before)).toEqual({ outcome: 'removed' });
    expect(ops.machine.dump()).toEqual(clean);
    expect(await ops.revert(FORWARDING, before)).toEqual({ outcome: 'gone' });
  });

  it('of an interface that somebody has set since are left to him', async () => {
    const ops = await up();
    ops.ip('', 'link add lan0 type bridge');
    const before = await ops.apply(FORWARDING);
    ops.machine.files.write(`${CONF}/lan0/accept_ra`, '0');
    await ops.revert(FORWARDING, before);
    expect(ops.machine.files.read(`${CONF}/lan0/accept_ra`)).toBe('0\n');
  });

  it('of a link of ours are refused though it is made while forwarding begins', async () => {
    const ops = await up(STEPS.bridge);
    // As a bridge is between its making and its first settings.
    ops.machine.files.write(`${CONF}/runspec0/accept_ra`, '1');
    await ops.apply(FORWARDING);
    expect(ops.machine.files.read(`${CONF}/runspec0/accept_ra`)).toBe('1\n');
  });

  it('come back when a kill fell between them and forwarding', async () => {
    const ops = await up();
    ops.ip('', 'link add lan0 type bridge');
    const clean = ops.machine.dump();
    const before = await ops.apply(FORWARDING);
    ops.machine.files.write(`${CONF}/all/forwarding`, '0');
    expect(await ops.revert(FORWARDING, before)).toEqual({ outcome: 'removed' });
    expect(ops.machine.dump()).toEqual(clean);
  });
});

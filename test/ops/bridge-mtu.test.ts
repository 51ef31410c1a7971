// The mtu of a bridge that several share. The fake kernel leaves it as it is, like one whose mtu somebody has set.
import { describe, expect, it } from 'vitest';
import { createFakeOps, type FakeOps } from './fake-context.ts';
import { stepOf, STEPS } from './steps.ts';

async function up(): Promise<FakeOps> {
  const ops = createFakeOps();
  for (const kind of ['netns-folder', 'netns', 'bridge', 'veth'] as const) await ops.apply(stepOf(kind));
  return ops;
}

describe('a bridge', () => {
  it('goes by the least mtu of its ports, whatever its step says', async () => {
    const ops = await up();
    ops.ip('', 'link add tap0 mtu 1300 type veth peer name tap1');
    ops.ip('', 'link set dev tap0 master runspec0');
    const narrow = {
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'mtu', wanted: '1300', found: '1500' }],
    };
    expect(await ops.probe(STEPS.bridge)).toEqual(narrow);
    // As the kernel does it.
    ops.ip('', 'link set dev runspec0 mtu 1300');
    expect(await ops.probe(STEPS.bridge)).toMatchObject({ state: 'present' });
  });

  it('that the kernel leaves as it was set follows a port that comes, changes and goes', async () => {
    const ops = await up();
    ops.ip('', 'link add tap0 mtu 1400 type veth peer name tap1');
    ops.ip('', 'link set dev tap0 master runspec0');
    ops.ip('', 'link set dev runspec0 mtu 1400');
    const mtu = async (): Promise<number | undefined> => (await ops.context().view.link('runspec0'))?.mtu;
    const narrow = { ...STEPS.veth, mtu: 1300 } as const;
    await ops.update(narrow, STEPS.veth);
    expect(await mtu()).toBe(1300);
    await ops.revert(narrow);
    expect(await mtu()).toBe(1400);
    await ops.apply(narrow);
    expect(await mtu()).toBe(1300);
    await ops.update(STEPS.veth, narrow);
    expect(await mtu()).toBe(1400);
  });

  it('is wide enough for IPv6 before it gets an address, and while its ports get wider one by one', async () => {
    const ops = createFakeOps();
    for (const kind of ['netns-folder', 'netns'] as const) await ops.apply(stepOf(kind));
    await ops.apply({ ...STEPS.bridge, mtu: 1000 });
    await ops.apply({ ...STEPS.veth, mtu: 1000 });
    ops.ip('', 'link add tap0 mtu 1000 type veth peer name tap1');
    ops.ip('', 'link set dev tap0 master runspec0');
    const look = async (): Promise<unknown> => {
      const link = await ops.context().view.link('runspec0');
      return [link?.mtu, link?.addresses.map(({ address }) => address)];
    };
    expect(await look()).toEqual([1000, ['10.209.0.1']]);
    const wide = { ...STEPS.bridge, address6: 'fd00:209::1/64' } as const;
    await ops.update(wide, STEPS.bridge);
    const both = ['10.209.0.1', 'fd00:209::1'];
    expect(await look()).toEqual([1280, both]);
    await ops.update(STEPS.veth, { ...STEPS.veth, mtu: 1000 });
    expect(await look()).toEqual([1280, both]);
    expect(await ops.probe(wide)).toMatchObject({ state: 'present' });
    ops.ip('', 'link set dev tap0 mtu 1500');
    await ops.update(STEPS.veth, STEPS.veth);
    expect(await look()).toEqual([1500, both]);
  });
});

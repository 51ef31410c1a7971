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
});

// Bridges and veth pairs: what others have set on theirs stays, and what a change leaves behind goes.
import { describe, expect, it } from 'vitest';
import { opOf } from '../../src/ops/index.ts';
import { createFakeOps, up, type FakeOps } from './fake-context.ts';
import { STEPS } from './steps.ts';

describe('a bridge', () => {
  const foreign = async (): Promise<FakeOps> => {
    const ops = createFakeOps();
    ops.ip('', 'link add runspec0 type bridge');
    ops.ip('', 'addr add 192.168.7.1/24 dev runspec0');
    return ops;
  };

  it('that was there before is joined and left as it was', async () => {
    const ops = await foreign();
    const clean = ops.machine.dump();
    const before = await ops.apply(STEPS.bridge);
    expect(await ops.probe(STEPS.bridge)).toMatchObject({ state: 'present' });
    expect(await ops.revert(STEPS.bridge, before)).toMatchObject({ outcome: 'kept' });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it('keeps an address that it had before', async () => {
    const ops = await foreign();
    ops.ip('', 'addr add 10.209.0.1/24 dev runspec0');
    const clean = ops.machine.dump();
    const before = await ops.apply(STEPS.bridge);
    const moved = { ...STEPS.bridge, address: '10.209.5.1/24' } as const;
    await ops.update(moved, STEPS.bridge, before);
    expect(await ops.revert(moved, before)).toMatchObject({ outcome: 'kept' });
    expect(ops.machine.dump()).toEqual(clean);
  });

  /** Applies the step with a view from before the other's lines. */
  const createAfter = async (ops: FakeOps, ...others: readonly string[]): Promise<void> => {
    const context = ops.context();
    await context.view.links();
    for (const line of others) ops.ip('', line);
    await opOf(STEPS.bridge).apply(context, STEPS.bridge, { existed: false });
  };

  it('that another runspec has made meanwhile is taken', async () => {
    const ops = createFakeOps();
    const alone = await up('bridge');
    const lines = ['link add runspec0 type bridge', 'link set dev runspec0 alias runspec'];
    await createAfter(ops, ...lines, 'addr add 10.209.0.1/24 dev runspec0', 'link set dev runspec0 up');
    expect(await ops.probe(STEPS.bridge)).toEqual({ state: 'present' });
    expect(await ops.addresses('runspec0')).toEqual(await alone.addresses('runspec0'));
  });

  it('that another runspec did not get to the end with is set up', async () => {
    const ops = createFakeOps();
    await createAfter(ops, 'link add runspec0 type bridge', 'link set dev runspec0 alias runspec');
    expect(await ops.probe(STEPS.bridge)).toEqual({ state: 'present' });
  });

  it.each(['10.90.0.1/24', '10.209.0.254/24'])(
    'that another runspec has made meanwhile with %s is not taken',
    async (address) => {
      const lines = ['link add runspec0 type bridge', 'link set dev runspec0 alias runspec'];
      const all = [...lines, `addr add ${address} dev runspec0`, 'link set dev runspec0 up'];
      await expect(createAfter(createFakeOps(), ...all)).rejects.toThrow(
        `another runspec has just made runspec0 with the address ${address}, not ${STEPS.bridge.address}`,
      );
    },
  );

  it('that somebody else has made meanwhile is not taken', async () => {
    const ops = createFakeOps();
    await expect(createAfter(ops, 'link add runspec0 type bridge')).rejects.toThrow('File exists');
    expect(await ops.addresses('runspec0')).toEqual([]);
  });

  it('of nobody known is not touched when nothing is known of what was before', async () => {
    const ops = await foreign();
    const clean = ops.machine.dump();
    expect(await ops.revert(STEPS.bridge)).toMatchObject({ outcome: 'kept' });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it('gives its former address back when it gets another', async () => {
    const ops = createFakeOps();
    const before = await ops.apply(STEPS.bridge);
    const moved = { ...STEPS.bridge, address: '10.210.0.1/24' } as const;
    await ops.update(moved, STEPS.bridge, before);
    expect(await ops.addresses('runspec0')).toEqual(['10.210.0.1']);
  });

  it('has an address when it gets another of the same subnet', async () => {
    const ops = createFakeOps();
    const before = await ops.apply(STEPS.bridge);
    const moved = { ...STEPS.bridge, address: '10.209.0.254/24' } as const;
    await ops.update(moved, STEPS.bridge, before);
    expect(await ops.addresses('runspec0')).toEqual(['10.209.0.254']);
  });

  it('of somebody else keeps its MAC address, with a port of ours and after', async () => {
    const ops = await up('netns-folder', 'netns');
    ops.ip('', 'link add runspec0 type bridge');
    const mac = async (): Promise<string | undefined> => (await ops.context().view.link('runspec0'))?.mac;
    const own = await mac();
    const before = await ops.apply(STEPS.bridge);
    await ops.apply(STEPS.veth);
    expect(await mac()).toBe(own);
    await ops.revert(STEPS.veth);
    await ops.revert(STEPS.bridge, before);
    expect(await mac()).toBe(own);
  });

  it('of somebody else that goes by its ports goes by them again', async () => {
    const ops = await up('netns-folder', 'netns');
    const lines = [
      'link add runspec0 type bridge',
      'link add tap0 address 02:00:00:00:00:77 type veth peer name tap1',
      'link set dev tap0 master runspec0',
    ];
    for (const line of lines) ops.ip('', line);
    const before = await ops.apply(STEPS.bridge);
    await ops.apply(STEPS.veth);
    await ops.revert(STEPS.veth);
    await ops.revert(STEPS.bridge, before);
    expect((await ops.context().view.link('runspec0'))?.mac).toBe('02:00:00:00:00:77');
    ops.ip('', 'link set dev tap0 nomaster');
    expect((await ops.context().view.link('runspec0'))?.mac).toBe('00:00:00:00:00:00');
  });

  it('of somebody else keeps an address that it got beside ours', async () => {
    const ops = createFakeOps();
    ops.ip('', 'link add runspec0 type bridge');
    const before = await ops.apply(STEPS.bridge);
    ops.ip('', 'addr add 10.209.0.77/24 dev runspec0');
    await ops.revert(STEPS.bridge, before);
    expect(await ops.addresses('runspec0')).toEqual(['10.209.0.77']);
    expect(ops.machine.files.read('/proc/sys/net/ipv4/conf/runspec0/promote_secondaries')).toBe('0\n');
  });

  it('stays while somebody is on it', async () => {
    const ops = await up('bridge');
    ops.ip('', 'link add tap0 type veth peer name tap1');
    ops.ip('', 'link set dev tap0 master runspec0');
    expect(await ops.revert(STEPS.bridge)).toEqual({
      outcome: 'kept',
      reason: 'it still has the ports tap0',
    });
  });

  it('is not made of a link of another kind', async () => {
    const ops = createFakeOps();
    ops.ip('', 'link add runspec0 type veth peer name x');
    await expect(ops.probe(STEPS.bridge)).rejects.toThrow('runspec0 is veth, not a bridge');
  });
});

describe('a veth', () => {
  it('of another owner is neither taken nor removed', async () => {
    const ops = await up('netns-folder', 'netns', 'bridge');
    ops.ip('', 'link add rs4b5e57f6 type veth peer name other');
    ops.ip('', 'link set dev rs4b5e57f6 alias runspec:db');
    const clean = ops.machine.dump();
    await expect(ops.apply(STEPS.veth)).rejects.toThrow('the link rs4b5e57f6 belongs to another: runspec:db');
    expect(await ops.revert(STEPS.veth)).toMatchObject({ outcome: 'kept' });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it('that a kill left without its name is made anew', async () => {
    const ops = await up('netns-folder', 'netns', 'bridge');
    ops.ip('', 'link add rs4b5e57f6 type veth peer name eth0 netns runspec-web');
    await ops.apply(STEPS.veth);
    expect(await ops.probe(STEPS.veth)).toMatchObject({ state: 'present' });
  });

  it.each<readonly [string, string, readonly string[], string]>([
    ['the host end', '', ['link set dev rs4b5e57f6 name foo'], 'foo'],
    [
      'the host end, and lost its alias',
      '',
      ['link set dev rs4b5e57f6 name foo', 'link set dev foo alias none'],
      'missing',
    ],
    ['the interface', 'runspec-web', ['link set dev eth0 name foo'], 'missing'],
  ])('of which somebody has renamed %s is made anew, or taken away', async (_, netns, lines, found) => {
    const ops = await up('netns-folder', 'netns', 'bridge');
    const clean = ops.machine.dump();
    await ops.apply(STEPS.veth);
    const whole = ops.machine.dump();
    const rename = (): void => lines.forEach((line) => ops.ip(netns, line));
    rename();
    expect(await ops.probe(STEPS.veth)).toMatchObject({
      state: 'drifted',
      inPlace: false,
      differences: [{ property: 'link', found }],
    });
    await ops.apply(STEPS.veth);
    expect(ops.machine.dump()).toEqual(whole);
    rename();
    expect(await ops.revert(STEPS.veth)).toEqual({ outcome: 'removed' });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it.each(['10.2.0.1', '10.1.0.254'])('gives its former address back for %s', async (address) => {
    const ops = await up('netns-folder', 'netns');
    const { bridge: _, ...rest } = STEPS.veth;
    const former = { ...rest, address: '10.1.0.1/24' } as const;
    const wanted = { ...rest, address: `${address}/24` } as const;
    await ops.apply(former);
    await ops.update(wanted, former);
    expect(await ops.addresses('rs4b5e57f6')).toEqual([address]);
  });

  it('that becomes the port of a bridge has what a fresh one has, and nothing of a link of its own', async () => {
    const fresh = await up('netns-folder', 'netns', 'bridge', 'veth');
    const moved = await up('netns-folder', 'netns', 'bridge');
    const { bridge: _, ...rest } = STEPS.veth;
    const former = { ...rest, address: '10.1.0.1/24', address6: 'fd00:1::1/64' } as const;
    await moved.apply(former);
    // The link-local one a kernel gives to any link.
    const dump = ({ machine }: FakeOps) => machine.dump().map((line) => line.replace(/"fe80:[^"]*"/, ''));
    expect(dump(moved)).not.toEqual(dump(fresh));
    await moved.update(STEPS.veth, former);
    expect(dump(moved)).toEqual(dump(fresh));
  });
});

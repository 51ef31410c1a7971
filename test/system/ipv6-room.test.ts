// IPv6 where an mtu or a sysctl leaves no room for it: the kernel takes it from an interface below 1280 with all its
// addresses, and from one that disables it. A container then goes without, and takes it from nobody else.
import { describe, expect, it } from 'vitest';
import { drift, find, identify, inside, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask, startServer } from '../support/talk.ts';

const [HOST6, REMOTE6] = ['2001:db8:1::2', '2001:db8:1::1'];
const NARROW = { mtu: 1000 };

describe.skipIf(!requireSystem())('a host with IPv6', () => {
  const getHost = shareHost({
    prepare: async (host) => {
      for (const [place, address] of [
        [host, HOST6],
        [host.remote, REMOTE6],
      ] as const)
        await place.output(['ip', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad']);
    },
  });
  const write = (base: string, network: SpecKeys, sysctls: SpecKeys = {}): PlacedSpec =>
    writeSpec(getHost(), base, {
      process: { args: ['sleep', '1000'], stopTimeout: '0s' },
      network,
      sysctls,
    });
  const hasIpv6 = async ({ name }: PlacedSpec): Promise<boolean> => {
    const stop = await startServer(getHost().remote, 'beyond', 'tcp6:7000');
    const reaches = (await ask(inside(getHost(), name), { address: REMOTE6, port: 7000 })) !== undefined;
    expect((await find(getHost(), name)).address6 !== null).toBe(reaches);
    await stop();
    return reaches;
  };
  const expectSettled = async (...specs: readonly PlacedSpec[]): Promise<void> => {
    for (const { file, name } of specs) {
      expect(await drift(getHost(), name)).toEqual([]);
      expect(await pending(getHost(), file)).toEqual([]);
    }
  };

  it.each<readonly [string, SpecKeys]>([
    ['on a bridge', {}],
    ['point to point', { mode: 'veth' }],
  ])('takes it from a container whose mtu leaves no room, and gives it back, %s', async (_, network) => {
    const host = getHost();
    const wide = write('resized', network);
    await succeed(host, 'apply', wide.file);
    const identity = await identify(host, wide.name);
    for (const mtu of [1000, 1500, 1279, 1280]) {
      const spec = write('resized', { ...network, mtu });
      await succeed(host, 'apply', spec.file);
      await expectSettled(spec);
      expect(await hasIpv6(spec)).toBe(mtu >= 1280);
    }
    expect(await identify(host, wide.name)).toBe(identity);
    await succeed(host, 'down', wide.name);
  });

  it('keeps it for a container whose bridge another would make too narrow', async () => {
    const host = getHost();
    const first = write('first', {});
    await succeed(host, 'apply', first.file);
    const second = write('second', { ...NARROW, ipv6: false });
    const { status, stderr } = await host.runspec('apply', second.file);
    expect(stderr).toContain(`an mtu of 1000 takes IPv6 from ${first.name} on runspec0`);
    expect(status).toBe(2);
    expect(await hasIpv6(first)).toBe(true);
    await expectSettled(first);
    await succeed(host, 'down', first.name);
  });

  it('has it for all on a bridge or for none, and again when the narrow ones get wider or go', async () => {
    const host = getHost();
    const first = write('first', {});
    const second = write('second', NARROW);
    await succeed(host, 'apply', first.file);
    await succeed(host, 'apply', first.file, second.file);
    await expectSettled(first, second);
    expect([await hasIpv6(first), await hasIpv6(second)]).toEqual([false, false]);
    write('first', NARROW);
    await succeed(host, 'apply', first.file);
    write('first', {});
    write('second', {});
    await succeed(host, 'apply', first.file, second.file);
    await expectSettled(first, second);
    expect([await hasIpv6(first), await hasIpv6(second)]).toEqual([true, true]);
    write('second', NARROW);
    await succeed(host, 'apply', first.file, second.file);
    await succeed(host, 'down', second.name);
    // The kernel makes the bridge wider by itself.
    expect(await drift(host, first.name)).toEqual([]);
    await succeed(host, 'apply', first.file);
    expect(await hasIpv6(first)).toBe(true);
    await succeed(host, 'down', first.name);
  });

  it('leaves a foreign bridge its own', async () => {
    const host = getHost();
    const lines = [
      'link add lan0 type bridge',
      'address add 2001:db8:7::1/64 dev lan0 nodad',
      'link set lan0 up',
    ];
    for (const line of lines) await host.output(['ip', ...line.split(' ')]);
    const { file } = write('guest', { bridge: 'lan0', ...NARROW });
    const { status, stderr } = await host.runspec('apply', file);
    expect(stderr).toContain('an mtu of 1000 takes IPv6 from lan0');
    expect(status).toBe(2);
    await host.output(['ip', 'link', 'delete', 'lan0']);
  });

  it.each(['all', 'default', 'eth0'])('gives none to who disables it by the sysctl of %s', async (name) => {
    const host = getHost();
    const sysctls = { [`net.ipv6.conf.${name}.disable_ipv6`]: 1 };
    for (const wanted of [false, true, false]) {
      const spec = write('disabled', {}, wanted ? {} : sysctls);
      await succeed(host, 'apply', spec.file);
      await expectSettled(spec);
      expect(await hasIpv6(spec)).toBe(wanted);
    }
    await succeed(host, 'down', write('disabled', {}).name);
  });
});

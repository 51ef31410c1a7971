// A container with IPv6 beside one without: plan, status, apply and down agree on who needs the bridge's IPv6 address.
import { describe, expect, it } from 'vitest';
import { drift, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec } from '../support/specs.ts';

const BRIDGES = [
  ['its own bridge', 'runspec0', []],
  ['a foreign bridge', 'lan0', ['link add lan0 type bridge', 'address add 10.88.0.1/24 dev lan0']],
  ['a foreign bridge without an address', 'bare0', ['link add bare0 type bridge']],
] as const;

describe.skipIf(!requireSystem()).each(BRIDGES)('on %s', (_, bridge, lines) => {
  const getHost = shareHost({
    prepare: async (host) => {
      for (const line of lines) await host.output(['ip', ...line.split(' ')]);
    },
  });
  const write = (base: string, ipv6: boolean): PlacedSpec =>
    writeSpec(getHost(), base, {
      process: { args: ['sleep', 'infinity'], stopTimeout: '0s' },
      network: { bridge, ipv6, address: base === 'with' ? '10.88.0.2' : '10.88.0.3' },
    });
  const hasAddress6 = async (): Promise<boolean> => {
    const found = await getHost().output(['ip', '-6', '-o', 'address', 'show', 'dev', bridge]);
    return found.includes('scope global');
  };
  /** Nothing is to be done for the one without IPv6, by anybody's word. */
  const expectSettled = async ({ name, file }: PlacedSpec): Promise<void> => {
    expect(await drift(getHost(), name)).toEqual([]);
    expect(await pending(getHost(), file)).toEqual([]);
  };

  it('comes with the first that has IPv6, and goes with the last', async () => {
    const without = write('without', false);
    await succeed(getHost(), 'apply', without.file);
    const other = write('with', true);
    await succeed(getHost(), 'apply', other.file);
    expect(await hasAddress6()).toBe(true);
    await expectSettled(without);
    await getHost().output(['ip', '-6', 'address', 'flush', 'dev', bridge, 'scope', 'global']);
    for (const { name } of [without, other])
      expect(await drift(getHost(), name)).toEqual([`bridge:${bridge} drifted`]);
    await succeed(getHost(), 'apply', without.file);
    await expectSettled(other);
    await succeed(getHost(), 'down', other.name);
    expect(await hasAddress6()).toBe(false);
    await expectSettled(without);
    await succeed(getHost(), 'down', without.name);
  });

  it('goes with the last that gives up IPv6', async () => {
    const [without, other] = [write('without', false), write('with', true)];
    await succeed(getHost(), 'apply', without.file, other.file);
    await succeed(getHost(), 'apply', write('with', false).file);
    expect(await hasAddress6()).toBe(false);
    await expectSettled(without);
    await expectSettled(other);
    await succeed(getHost(), 'down', without.name, other.name);
  });
});

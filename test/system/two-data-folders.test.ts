// Two data folders on one host: their containers share a bridge, and no call reaches both.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Executed } from '../support/execute.ts';
import { pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec } from '../support/specs.ts';
import { ask } from '../support/talk.ts';

/** A server that was just started listens within this. */
const SOON = { timeout: 30_000 };
const ADDRESSES = { here: '10.209.0.10', abroad: '10.209.0.20' };

describe.skipIf(!requireSystem())('a bridge of two data folders', () => {
  const getHost = shareHost();
  const write = (base: keyof typeof ADDRESSES, network: object = {}): PlacedSpec =>
    writeSpec(getHost(), base, {
      process: { args: serve(base, 'tcp:80', 'tcp6:80'), stopTimeout: '0s' },
      network: { address: ADDRESSES[base], ipv6: true, ...network },
    });
  const abroad = (...args: readonly string[]): Promise<Executed> => {
    const folder = (name: string): string => path.join(getHost().folder, 'specs', `abroad-${name}`);
    return getHost().runspec('--state-dir', folder('state'), '--data-dir', folder('data'), ...args);
  };
  /** What the first needed and the second still did goes by `gc`: README, "When things go wrong". */
  const collect = async (): Promise<void> => {
    await succeed(getHost(), 'gc');
    expect((await abroad('gc')).status).toBe(0);
  };
  const addresses = (): Promise<string> =>
    getHost().output(['ip', '-o', 'address', 'show', 'dev', 'runspec0']);
  const expectAnswer = async (base: keyof typeof ADDRESSES): Promise<void> => {
    const answer = () => ask((argv) => getHost().exec(argv), { address: ADDRESSES[base], port: 80 });
    await expect.poll(answer, SOON).toContain(base);
  };

  it('is made once by two that come at the same time', async () => {
    for (let round = 0; round < 3; round += 1) {
      const [here, there] = [write('here'), write('abroad')];
      const applied = await Promise.all([getHost().runspec('apply', here.file), abroad('apply', there.file)]);
      expect(applied.filter(({ status }) => status !== 0).map(({ stderr }) => stderr)).toEqual([]);
      await expectAnswer('here');
      await expectAnswer('abroad');
      expect(await pending(getHost(), here.file)).toEqual([]);
      await succeed(getHost(), 'down', here.name);
      await expectAnswer('abroad');
      expect((await abroad('down', '--all')).status).toBe(0);
      await collect();
    }
  });

  it.each([
    ['subnet', { address: undefined, subnet: '10.90.0.0/24' }, 'runspec0 already carries 10.209.0.0/24 for'],
    ['gateway', { gateway: '10.209.0.254' }, 'the gateway of runspec0 is 10.209.0.1 for'],
    ['subnet by the address', { address: '10.90.0.10' }, 'is outside the subnet 10.209.0.0/24'],
    ['IPv6 subnet', { subnet6: 'fd99::/64' }, 'runspec0 already carries fd72:'],
    ['IPv6, by the mtu', { ipv6: false, mtu: 1200 }, 'an mtu of 1200 takes IPv6 from'],
  ])('keeps its %s while a container of the other one is on it', async (_, network, message) => {
    const [here, there] = [write('here'), write('abroad')];
    await succeed(getHost(), 'apply', here.file);
    expect((await abroad('apply', there.file)).status).toBe(0);
    const before = await addresses();
    const refused = await getHost().runspec('apply', write('here', network).file);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain(message);
    expect(await addresses()).toBe(before);
    await expectAnswer('abroad');
    expect((await abroad('down', '--all')).status).toBe(0);
    await succeed(getHost(), 'apply', here.file);
    expect(await addresses()).not.toBe(before);
    await succeed(getHost(), 'down', here.name);
    await collect();
  });

  it('keeps its IPv6 when the container that brought it has none any more', async () => {
    const [here, there] = [write('here'), write('abroad')];
    await succeed(getHost(), 'apply', here.file);
    expect((await abroad('apply', there.file)).status).toBe(0);
    const before = await addresses();
    await succeed(getHost(), 'apply', write('here', { ipv6: false }).file);
    expect(await addresses()).toBe(before);
    expect(await pending(getHost(), here.file)).toEqual([]);
    expect((await abroad('down', '--all')).status).toBe(0);
    await succeed(getHost(), 'down', here.name);
    await collect();
  });
});

// Two data folders on one host: their containers share bridges and the table, and no call reaches both.
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Executed } from '../support/execute.ts';
import { pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

/** A server that was just started listens within this. */
const SOON = { timeout: 30_000 };
const ADDRESSES = { here: '10.209.0.10', abroad: '10.209.0.20' };

/** Options by which runspec has other folders. */
function abroadOf(host: TestHost): readonly string[] {
  return ['state', 'data'].flatMap((one) => [
    `--${one}-dir`,
    path.join(host.folder, 'specs', `abroad-${one}`),
  ]);
}

describe.skipIf(!requireSystem())('a bridge of two data folders', () => {
  const getHost = shareHost();
  const write = (base: keyof typeof ADDRESSES, network: object = {}): PlacedSpec =>
    writeSpec(getHost(), base, {
      process: { args: serve(base, 'tcp:80', 'tcp6:80'), stopTimeout: '0s' },
      network: { address: ADDRESSES[base], ipv6: true, ...network },
    });
  const abroad = (...args: readonly string[]): Promise<Executed> =>
    getHost().runspec(...abroadOf(getHost()), ...args);
  /** What the first needed and the second still did goes by `gc`: docs/failures.md. */
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

describe.skipIf(!requireSystem())('containers of two data folders', () => {
  const getHost = shareHost();
  const write = (base: string, network: SpecKeys): PlacedSpec =>
    writeSpec(getHost(), base, { process: { args: serve(base, 'tcp:80'), stopTimeout: '0s' }, network });
  const answers = async (port: number): Promise<string | undefined> =>
    (await ask((argv) => getHost().exec(argv), { address: '127.0.0.1', port, seconds: 1 }))?.split(' ')[0];
  afterEach(async () => {
    for (const where of [[], abroadOf(getHost())]) await succeed(getHost(), ...where, 'down', '--all');
    for (const where of [[], abroadOf(getHost())]) await succeed(getHost(), ...where, 'gc');
  });

  it('that come to one bridge one after the other have addresses of their own', async () => {
    const host = getHost();
    const ours = write('ours', { bridge: 'two0', ports: ['8081:80'] });
    const theirs = write('theirs', { bridge: 'two0', ports: ['8082:80'] });
    await succeed(host, 'apply', ours.file);
    await succeed(host, ...abroadOf(host), 'apply', theirs.file);
    await expect.poll(() => answers(8081), SOON).toBe('ours');
    await expect.poll(() => answers(8082), SOON).toBe('theirs');
    const named = write('third', { bridge: 'two0', address: '10.209.0.2' });
    const refused = await host.runspec(...abroadOf(host), 'plan', named.file);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/third\.json:\d+:\d+: .*10\.209\.0\.2 is taken by \S*ours/);
  });

  it.each([
    ['of free subnets', { bridge: 'left0' }, { bridge: 'right0' }],
    [
      'of one subnet',
      { bridge: 'left0', subnet: '10.77.0.0/24' },
      { bridge: 'right0', subnet: '10.77.0.0/24' },
    ],
    ['without a bridge', { mode: 'veth' }, { mode: 'veth' }],
  ])(
    'that come at once, with networks %s, serve what is theirs or are rolled back',
    async (_, one, other) => {
      const host = getHost();
      const ours = write('ours', { ...one, ports: ['8081:80'] });
      const theirs = write('theirs', { ...other, ports: ['8082:80'] });
      const results = await Promise.all([
        host.runspec('apply', ours.file),
        host.runspec(...abroadOf(host), 'apply', theirs.file),
      ]);
      for (const [index, { status }] of results.entries()) {
        const [port, name] = index === 0 ? [8081, 'ours'] : [8082, 'theirs'];
        expect([0, 1, 2]).toContain(status);
        await expect.poll(() => answers(port), SOON).toBe(status === 0 ? name : undefined);
      }
      expect(results.some(({ status }) => status === 0)).toBe(true);
    },
  );
});

// Two data folders on one host: none gets what a container of the other has, whether one comes later or both at once.
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

const SOON = { timeout: 15_000 };

describe.skipIf(!requireSystem())('containers of two data folders', () => {
  const getHost = shareHost();
  const abroad = (host: TestHost): readonly string[] =>
    ['state', 'data'].flatMap((one) => [`--${one}-dir`, path.join(host.folder, 'specs', `two-${one}`)]);
  const write = (base: string, network: SpecKeys): PlacedSpec =>
    writeSpec(getHost(), base, { process: { args: serve(base, 'tcp:80'), stopTimeout: '0s' }, network });
  const answers = async (port: number): Promise<string | undefined> =>
    (await ask((argv) => getHost().exec(argv), { address: '127.0.0.1', port, seconds: 1 }))?.split(' ')[0];
  afterEach(async () => {
    const host = getHost();
    for (const where of [[], abroad(host)])
      expect(await host.runspec(...where, 'down', '--all')).toMatchObject({ status: 0 });
    // What the first of them switched on is told apart by gc.
    for (const where of [[], abroad(host)]) await host.runspec(...where, 'gc');
  });

  it('that come to one bridge one after the other have addresses of their own', async () => {
    const host = getHost();
    const ours = write('ours', { bridge: 'two0', ports: ['8081:80'] });
    const theirs = write('theirs', { bridge: 'two0', ports: ['8082:80'] });
    expect(await host.runspec('apply', ours.file)).toMatchObject({ status: 0 });
    expect(await host.runspec(...abroad(host), 'apply', theirs.file)).toMatchObject({ status: 0 });
    await expect.poll(() => answers(8081), SOON).toBe('ours');
    await expect.poll(() => answers(8082), SOON).toBe('theirs');
    const named = write('third', { bridge: 'two0', address: '10.209.0.2' });
    const refused = await host.runspec(...abroad(host), 'plan', named.file);
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
        host.runspec(...abroad(host), 'apply', theirs.file),
      ]);
      for (const [index, { status, stderr }] of results.entries()) {
        const [port, name] = index === 0 ? [8081, 'ours'] : [8082, 'theirs'];
        if (status === 0) await expect.poll(() => answers(port), SOON).toBe(name);
        else {
          expect([1, 2], stderr).toContain(status);
          expect(await answers(port)).toBeUndefined();
        }
      }
      expect(results.some(({ status }) => status === 0)).toBe(true);
    },
  );
});

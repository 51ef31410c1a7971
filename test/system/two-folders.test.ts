// Two data folders on one host: none gets what a container of the other has, whether one comes later or both at once.
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
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
    for (const where of [[], abroad(host)]) await succeed(host, ...where, 'down', '--all');
    // What the first of them switched on stays on while it may be the second's.
    for (const where of [[], abroad(host)]) await succeed(host, ...where, 'gc');
  });

  it('that come to one bridge one after the other have addresses of their own', async () => {
    const host = getHost();
    const ours = write('ours', { bridge: 'two0', ports: ['8081:80'] });
    const theirs = write('theirs', { bridge: 'two0', ports: ['8082:80'] });
    await succeed(host, 'apply', ours.file);
    await succeed(host, ...abroad(host), 'apply', theirs.file);
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
      for (const [index, { status }] of results.entries()) {
        const [port, name] = index === 0 ? [8081, 'ours'] : [8082, 'theirs'];
        expect([0, 1, 2]).toContain(status);
        await expect.poll(() => answers(port), SOON).toBe(status === 0 ? name : undefined);
      }
      expect(results.some(({ status }) => status === 0)).toBe(true);
    },
  );
});

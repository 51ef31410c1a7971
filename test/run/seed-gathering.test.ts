import { expect, it } from 'vitest';
import type { DirectoryStep } from '../../src/plan/plan.ts';
import { createSeedGathering, isSeeded } from '../../src/run/seed-gathering.ts';

const step = (path?: string): DirectoryStep => ({
  id: 'volume:data',
  op: 'directory',
  path: '/volumes/data',
  mode: 0o755,
  removal: 'volume',
  needs: [],
  after: [],
  ...(path === undefined ? {} : { seeds: [{ lower: [], path }] }),
});
const expected = (...containers: readonly string[]) =>
  containers.map((container) => ({ container, steps: ['volume:data'] }));

async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  const late = new Promise((resolve) => setImmediate(resolve, 'late'));
  return (await Promise.race([promise, late])) === 'late';
}

it('gives the seeds in the order of the call, once all have come', async () => {
  const gathering = createSeedGathering(expected('one', 'two'));
  gathering.arrive('two', step('/two'));
  const seeds = gathering.seedsOf(step());
  expect(await isWaiting(seeds)).toBe(true);
  gathering.arrive('one', step('/one'));
  expect((await seeds).map(({ path }) => path)).toEqual(['/one', '/two']);
});

it('does not wait for who has left, be it before or after', async () => {
  const gathering = createSeedGathering(expected('one', 'two', 'three'));
  gathering.leave('one');
  gathering.arrive('two', step('/two'));
  gathering.leave('two');
  const seeds = gathering.seedsOf(step());
  expect(await isWaiting(seeds)).toBe(true);
  gathering.leave('three');
  expect((await seeds).map(({ path }) => path)).toEqual(['/two']);
});

it('takes along who comes without being expected, and waits for none of another volume', async () => {
  const gathering = createSeedGathering([{ container: 'other', steps: ['volume:other'] }]);
  gathering.arrive('late', step('/late'));
  expect((await gathering.seedsOf(step())).map(({ path }) => path)).toEqual(['/late']);
});

it('is for steps with seeds alone', () => {
  expect([step('/one'), step()].map(isSeeded)).toEqual([true, false]);
});

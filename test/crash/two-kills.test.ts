// A kill, and before anybody cleans up another apply of a third version, which is killed or fails in its turn: what only
// the version in between had made must not be forgotten.
import { expect, it } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import type { Breakage } from '../support/fake/gate.ts';
import { apply, down, runspec } from './one-runspec.ts';
import { planOf } from './plans.ts';
import { difference } from './walk.ts';

const first = planOf('web', '10.209.0.2', 8080);
const second = planOf('web', '10.209.0.3', 8081);
const third = planOf('web', '10.209.0.4', 8082);
const clean = createFakeMachine().dump();

async function upWith(given: readonly Plan[], then: Plan, at: number): Promise<FakeMachine> {
  const machine = createFakeMachine();
  if (given.length > 0) await runspec(machine, apply(...given));
  expect((await runspec(machine, apply(then), { at, how: 'die' })).end).toBe('killed');
  return machine;
}

async function countChanges(given: readonly Plan[], then: Plan): Promise<number> {
  const machine = createFakeMachine();
  if (given.length > 0) await runspec(machine, apply(...given));
  return (await runspec(machine, apply(then))).gate.count;
}

/** The first changes of the third version are to its record; then it takes away what is not its own. */
const EARLY = [1, 3, 4, 6, 8, 11];

it.each([
  ['an update', [first]],
  ['a first apply', []],
])('is survived twice in a row, beginning with %s', { timeout: 300_000 }, async (_, given) => {
  const total = await countChanges(given, second);
  const left: string[] = [];
  for (let at = 1; at <= total; at += 1) {
    for (const breakage of EARLY.flatMap((again): readonly Breakage[] => [
      { at: again, how: 'die' },
      { at: again, how: 'fail' },
    ])) {
      const machine = await upWith(given, second, at);
      const { gate } = await runspec(machine, apply(third), breakage);
      const when = `killed at ${at}, then ${breakage.how} in ${gate.changes[breakage.at - 1]}`;
      const { error } = await runspec(machine, down('web'));
      if (error !== undefined) left.push(`${when}: down says ${(error as Error).message}`);
      const lines = difference(clean, machine.dump());
      if (lines.length > 0) left.push(`${when}: ${lines.slice(0, 3).join(' | ')}`);
    }
  }
  expect(left).toEqual([]);
});

// What becomes of a plan when things of the container are on the host that no record tells of.
import { expect, it } from 'vitest';
import { makeAnew } from '../../src/run/make-anew.ts';
import { planOf } from '../crash/plans.ts';
import { STEPS } from '../ops/steps.ts';
import { createFakeMachine } from '../support/fake/machine.ts';
import { apply, changesOf, open } from './fake-session.ts';

it('is that they go, the last first, and that all is made which no other container has', async () => {
  const machine = createFakeMachine();
  const web = planOf('web', '10.209.0.2', 8080);
  await apply(await open(machine), web);
  const changes = await changesOf(await open(machine), web);
  expect(makeAnew('web', changes)).toBe(changes);
  const anew = makeAnew('web', changes, [STEPS.netns, STEPS.veth]);
  expect(anew.slice(0, 2)).toMatchObject([
    { action: 'delete', step: { op: 'veth' }, reason: 'no record tells of it' },
    { action: 'delete', step: { op: 'netns' } },
  ]);
  for (const { action, step } of anew.slice(2)) expect(action).toBe(step.shared === true ? 'none' : 'create');
});

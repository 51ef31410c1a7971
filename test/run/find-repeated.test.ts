// What several containers share is planned once, for whichever of them.
import { expect, it } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { findKept } from '../../src/run/find-kept.ts';
import { findRepeated } from '../../src/run/find-repeated.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, changesOf, open } from './fake-session.ts';

const web = planOf('web', '10.209.0.2', 8080);
const db = planOf('db', '10.209.0.3', 9091);
const shared = web.steps.filter((step) => step.shared === true).map(({ id }) => id);

/** Ids of what is told of another container already, of each of the plans. */
async function repeated(
  machine: FakeMachine,
  plans: readonly Plan[],
): Promise<readonly (readonly string[])[]> {
  const session = await open(machine);
  const changes = await Promise.all(plans.map((plan) => changesOf(session, plan)));
  const found = findRepeated(changes, await findKept(session, plans, changes));
  return changes.map((all) => all.filter((change) => found.has(change)).map(({ step }) => step.id));
}

it('is made with the first', async () => {
  expect(await repeated(createFakeMachine(), [web, db])).toEqual([[], shared]);
});

it('goes with the first, where all let go of it', async () => {
  const machine = createFakeMachine();
  for (const plan of [web, db]) await apply(await open(machine), plan);
  const without = (plan: Plan): Plan => ({
    ...plan,
    steps: plan.steps.filter(({ id }) => !shared.includes(id)),
  });
  expect(await repeated(machine, [without(web), without(db)])).toEqual([[], shared.toReversed()]);
});

it('is told of by nobody else when it stays with another user', async () => {
  const machine = createFakeMachine();
  for (const plan of [web, db]) await apply(await open(machine), plan);
  expect(await repeated(machine, [{ ...web, steps: [] }, db])).toEqual([[], []]);
});

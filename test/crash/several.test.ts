// Two containers of one call that change the bridge they share: whichever change fails, whoever is told to be up is, and who
// is not has been told why.
import { expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { computeChanges } from '../../src/run/changes.ts';
import { opContext, type Session } from '../../src/run/session.ts';
import { createFakeMachine } from '../support/fake/machine.ts';
import { apply, runspec } from './one-runspec.ts';
import { planOf } from './plans.ts';

const web = planOf('web', '10.209.0.2', 8080);
const db = planOf('db', '10.209.0.3', 5432);

function behind(gateway: string, plan: Plan): Plan {
  const steps = plan.steps.map((step) => {
    if (step.op === 'bridge') return { ...step, address: `${gateway}/24` };
    return step.op === 'address' ? { ...step, gateway } : step;
  });
  return { ...plan, specDigest: `${plan.name} behind ${gateway}`, steps };
}

/** What is not as the record of a container that was applied says. */
async function findDrift(session: Session, name: string): Promise<readonly string[]> {
  const record = await session.records.read(name);
  if (record?.applied === undefined || record.pending !== undefined) return [];
  const context = opContext(session, name, () => undefined);
  const changes = await computeChanges(context, record.applied, record.applied.steps);
  return changes.flatMap(({ step, action }) => (action === 'none' ? [] : [`${name}: ${action} ${step.id}`]));
}

it('leave none of them behind a gateway that another one took away', async () => {
  const work = apply(behind('10.209.0.254', web), behind('10.209.0.254', db));
  const prepare = async () => {
    const machine = createFakeMachine();
    expect((await runspec(machine, apply(web, db))).end).toBe('done');
    return machine;
  };
  const total = (await runspec(await prepare(), work)).gate.count;
  const wrong: string[] = [];
  let taken = 0;
  for (let at = 1; at <= total; at += 1) {
    const machine = await prepare();
    const { gate, error } = await runspec(machine, work, { at, how: 'fail' });
    const told = error instanceof OperationError ? error.cleanup.map((one) => one.message).join() : '';
    const look = async (session: Session): Promise<void> => {
      if (told.includes(' stays as ')) {
        taken += 1;
        return;
      }
      const drift = [...(await findDrift(session, 'web')), ...(await findDrift(session, 'db'))];
      wrong.push(...drift.map((line) => `${gate.changes[at - 1]} failed: ${line}`));
    };
    expect((await runspec(machine, look)).error).toBeUndefined();
    // It is still possible to finish.
    const again = await runspec(machine, work);
    if (again.error !== undefined)
      wrong.push(
        `${gate.changes[at - 1]} failed, and then ${again.error instanceof Error ? again.error.message : ''}`,
      );
  }
  expect(wrong).toEqual([]);
  expect(taken).toBeGreaterThan(0);
});

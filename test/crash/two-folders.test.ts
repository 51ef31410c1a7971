// Two runspecs with folders of their own at work on one machine: at any call that the one makes, the other comes and
// does all of its work. What is one for the host must be there for whoever is up in the end, and go with the last.
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { computeChanges } from '../../src/run/changes.ts';
import { opContext, type Session } from '../../src/run/session.ts';
import type { Breakage } from '../support/fake/gate.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, down, gc, runspec, type Folders } from './one-runspec.ts';
import { planOf } from './plans.ts';
import { difference } from './walk.ts';

const THEIRS: Folders = { dataDir: '/var/lib/other', stateDir: '/run/other' };

const ours = planOf('web', '10.209.0.2', 8080);
const sameBridge = moved(planOf('db', '10.209.0.3', 5432));
const otherBridge = moved(planOf('db', '10.210.0.3', 5432), [
  ['runspec0', 'other0'],
  ['10.209.0.1', '10.210.0.1'],
]);

/** The same plan in their folders. */
function moved(plan: Plan, words: readonly (readonly [string, string])[] = []): Plan {
  const all = [['/var/lib/runspec', THEIRS.dataDir], ['/run/runspec', THEIRS.stateDir], ...words] as const;
  const text = all.reduce((known, [from, to]) => known.replaceAll(from, to), JSON.stringify(plan));
  return JSON.parse(text) as Plan;
}

type Work = (session: Session) => Promise<void>;

/** @throws what it fails with. */
async function theirs(machine: FakeMachine, work: Work): Promise<void> {
  const { error } = await runspec(machine, work, undefined, THEIRS);
  if (error !== undefined) throw error as Error;
}

/** What is not as the plan says, and is only for status to see. */
async function findDrift(machine: FakeMachine, plan: Plan, folders?: Folders): Promise<readonly string[]> {
  let found: readonly string[] = [];
  const { error } = await runspec(
    machine,
    async (session) => {
      const changes = await computeChanges(
        opContext(session, plan.name, () => undefined),
        plan,
        plan.steps,
      );
      found = changes.flatMap(({ action, step, reason = '' }) =>
        action === 'none' ? [] : [`${step.id}: ${reason}`],
      );
    },
    undefined,
    folders,
  );
  if (error !== undefined) throw error as Error;
  return found;
}

/** Taken away in the moment before it, `ip netns add` makes it again by itself, and nobody can tell that it did. */
const NOBODYS = /^\+ (?:\/run\/netns |mount \{"root":"\/run\/netns",)/;

const clean = createFakeMachine().dump();

interface Meeting {
  readonly name: string;
  /** Of theirs. */
  readonly plan: Plan;
  readonly given: (machine: FakeMachine) => Promise<unknown>;
  readonly work: Work;
  /** What they do at a call of that work. */
  readonly meanwhile: (plan: Plan) => Work;
  /** Whose container is up in the end. */
  readonly left: 'ours' | 'theirs';
}

const meetings = [
  ['one bridge', sameBridge],
  ['two bridges', otherBridge],
].flatMap(([bridges, plan]): readonly Meeting[] => [
  {
    name: `our down, their apply, ${bridges as string}`,
    plan: plan as Plan,
    given: (machine) => runspec(machine, apply(ours)),
    work: down('web'),
    meanwhile: (their) => apply(their),
    left: 'theirs',
  },
  {
    name: `our apply, their down, ${bridges as string}`,
    plan: plan as Plan,
    given: (machine) => theirs(machine, apply(plan as Plan)),
    work: apply(ours),
    meanwhile: (their) => down(their.name),
    left: 'ours',
  },
]);

describe.each(meetings)('$name', ({ plan, given, work, meanwhile, left }) => {
  async function meet(
    breakage?: Breakage,
  ): Promise<{ machine: FakeMachine; calls: number; error?: unknown }> {
    const machine = createFakeMachine();
    await given(machine);
    const wait: Breakage | undefined =
      breakage?.how === 'wait'
        ? { ...breakage, meanwhile: () => theirs(machine, meanwhile(plan)) }
        : undefined;
    const { gate, error } = await runspec(machine, work, wait);
    return { machine, calls: gate.calls, error };
  }

  it('leaves what is up whole, and nothing once all are down', { timeout: 300_000 }, async () => {
    const { calls } = await meet();
    const wrong: string[] = [];
    for (let at = 1; at <= calls; at += 1) {
      const { machine, error } = await meet({ at, how: 'wait', meanwhile: () => Promise.resolve() });
      if (error !== undefined) wrong.push(`at ${at}: ${(error as Error).message}`);
      const drift = await (left === 'ours' ? findDrift(machine, ours) : findDrift(machine, plan, THEIRS));
      if (drift.length > 0) wrong.push(`at ${at}: ${drift.join(' | ')}`);
      await runspec(machine, down('web'));
      await theirs(machine, down(plan.name));
      await runspec(machine, gc);
      await theirs(machine, gc);
      const lines = difference(clean, machine.dump()).filter((line) => !NOBODYS.test(line));
      if (lines.length > 0) wrong.push(`at ${at}, after all: ${lines.slice(0, 3).join(' | ')}`);
    }
    expect(wrong).toEqual([]);
  });
});

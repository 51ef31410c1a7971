// What changes hands within one call: a published port, an address in the firewall. Whoever has it gives it up before any
// container of the call begins to make things. In the turn of that container it might come too late: one that joins
// another waits for it, and a process may take long to end.
import { InterruptedError, OperationError } from '../errors.ts';
import type { Step } from '../plan/plan.ts';
import { reversalOf, type Application } from './application.ts';
import { applyChanges } from './apply.ts';
import type { Change } from './changes.ts';
import { asFailure, revertSteps } from './revert.ts';
import { rollBack } from './roll-back.ts';

export interface HandOvers {
  /** Takes away what the containers hand over, and nothing else yet. What goes wrong is told by `carryOn`. */
  giveUp(applications: Iterable<Application>): Promise<void>;
  /**
   * Carries out all the rest once those are up whose namespaces the container joins.
   *
   * @throws after everything done was undone, and what was given up is in its place again.
   */
  carryOn(application: Application, joined: Promise<unknown>): Promise<void>;
  /** As in OpContext. */
  mayLetGo(container: string, other: string): boolean;
}

interface HandOver {
  /** Deletions. */
  readonly given: readonly Change[];
  readonly takers: readonly string[];
}

const NOTHING: HandOver = { given: [], takers: [] };

export function createHandOvers(works: readonly Pick<Application, 'plan' | 'changes'>[]): HandOvers {
  const known = findHandOvers(works);
  const ofContainer = (name: string): HandOver => known.get(name) ?? NOTHING;
  const goings = new Map<string, Promise<readonly OperationError[]>>();
  const atWork = new Set<string>();
  const onWayBack = new Set<string>();
  const carryOutRest = async (application: Application, joined: Promise<unknown>): Promise<void> => {
    const { plan, changes, report, keepOnFailure } = application;
    const { given } = ofContainer(plan.name);
    const [failure] = (await goings.get(plan.name)) ?? [];
    const rollback: typeof report.rollback = (...what) => {
      onWayBack.add(plan.name);
      report.rollback(...what);
    };
    const rest = changes.filter((change) => !given.includes(change));
    try {
      if (failure !== undefined) throw failure;
      await joined;
      await applyChanges({ ...application, changes: rest, report: { ...report, rollback } });
    } catch (cause) {
      if (given.length === 0 || keepOnFailure || onWayBack.has(plan.name)) throw cause;
      onWayBack.add(plan.name);
      throw withCleanup(cause, await takeBack(application, given));
    }
  };
  return {
    async giveUp(applications) {
      for (const application of applications) {
        const { name } = application.plan;
        const { given } = ofContainer(name);
        if (given.length > 0) goings.set(name, takeAway(application, given));
      }
      await Promise.allSettled(goings.values());
    },
    async carryOn(application, joined) {
      const { name } = application.plan;
      atWork.add(name);
      await carryOutRest(application, joined).finally(() => atWork.delete(name));
    },
    mayLetGo: (container, other) =>
      onWayBack.has(container) && ofContainer(container).takers.includes(other) && atWork.has(other),
  };
}

function findHandOvers(
  works: readonly Pick<Application, 'plan' | 'changes'>[],
): ReadonlyMap<string, HandOver> {
  const wanted = new Map<string, string[]>();
  for (const { plan, changes } of works)
    for (const { step, action } of changes) {
      const key = keyOf(step);
      if (key === undefined || action === 'delete' || action === 'none') continue;
      wanted.set(key, [...(wanted.get(key) ?? []), plan.name]);
    }
  return new Map(
    works.map(({ plan, changes }): readonly [string, HandOver] => {
      const takersOf = ({ step, action }: Change): readonly string[] =>
        action === 'delete' ? (wanted.get(keyOf(step) ?? '') ?? []).filter((name) => name !== plan.name) : [];
      const given = changes.filter((change) => takersOf(change).length > 0);
      return [plan.name, { given, takers: given.flatMap(takersOf) }];
    }),
  );
}

/** By which the kernel knows it; undefined for what several containers use together, or nobody else could have. */
function keyOf(step: Step): string | undefined {
  const isOfOne = step.op === 'nft-element' && step.shared !== true;
  return isOfOne ? `${step.table} ${step.set} ${step.key}` : undefined;
}

/** @returns what could not be taken away. @throws OperationError when nothing was changed. */
async function takeAway(
  application: Application,
  given: readonly Change[],
): Promise<readonly OperationError[]> {
  const { context, records, plan, record, specFile } = application;
  const steps = given.map(({ step }) => step);
  try {
    await records.begin(plan, record, specFile);
  } catch (cause) {
    throw asFailure(context, steps[0] as Step, cause);
  }
  return revertSteps(reversalOf(application, record?.before ?? {}), steps);
}

/** Before the first other change of the container: nothing else of it was touched. */
function takeBack(application: Application, given: readonly Change[]): Promise<readonly OperationError[]> {
  const { record, changes } = application;
  const touched = changes.map((change): Change =>
    given.includes(change) ? change : { ...change, action: 'none' },
  );
  return rollBack({ ...application, changes: touched }, { ...record?.before });
}

function withCleanup(cause: unknown, cleanup: readonly OperationError[]): unknown {
  if (cause instanceof OperationError) return cause.with({ cleanup: [...cause.cleanup, ...cleanup] });
  if (cause instanceof InterruptedError)
    return new InterruptedError(cause.signal, [...cause.cleanup, ...cleanup]);
  return cause;
}

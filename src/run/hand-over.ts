// Published ports and firewall addresses that pass from one container to another within a call. The container that has
// one gives it up before any container of the call begins to make things. In its own turn that might be too late: a
// container that joins another waits for that one, and a process may take long to end.
import { InterruptedError, OperationError, UndoneError } from '../errors.ts';
import type { Step } from '../plan/plan.ts';
import { reversalOf, type Application } from './application.ts';
import { applyChanges } from './apply.ts';
import type { Change } from './changes.ts';
import { asFailure, revertSteps } from './revert.ts';
import { rollBack } from './roll-back.ts';

export interface HandOvers {
  /** Removes the objects that the containers hand over, and nothing else yet. `carryOn` throws the failures. */
  giveUp(applications: Iterable<Application>): Promise<void>;
  /**
   * Carries out the container's other changes once `joined`, the start of those whose namespaces it joins, has
   * resolved.
   *
   * @throws after everything done was undone, and the objects that were given up are in their place again.
   */
  carryOn(application: Application, joined: Promise<unknown>): Promise<void>;
}

export function createHandOvers(works: readonly Pick<Application, 'plan' | 'changes'>[]): HandOvers {
  const known = findHandOvers(works);
  const givenBy = (name: string): readonly Change[] => known.get(name) ?? [];
  const goings = new Map<string, Promise<readonly OperationError[]>>();
  return {
    async giveUp(applications) {
      for (const application of applications) {
        const { name } = application.plan;
        const given = givenBy(name);
        if (given.length > 0) goings.set(name, takeAway(application, given));
      }
      await Promise.allSettled(goings.values());
    },
    async carryOn(application, joined) {
      const { plan, changes, report, record, keepOnFailure, part } = application;
      // The promise is awaited below, unless an earlier failure ends this: then its rejection must not go unhandled.
      joined.catch(() => undefined);
      const given = givenBy(plan.name);
      const seen = { isWayBack: false, isMade: false };
      const rollback: typeof report.rollback = (...what) => {
        seen.isWayBack = true;
        report.rollback(...what);
      };
      const made: typeof part.made = async () => {
        seen.isMade = await part.made();
        return seen.isMade;
      };
      const rest = changes.filter((change) => !given.includes(change));
      try {
        const [failure] = (await goings.get(plan.name)) ?? [];
        if (failure !== undefined) throw failure;
        await joined;
        await applyChanges({
          ...application,
          changes: rest,
          report: { ...report, rollback },
          part: { ...part, made },
        });
      } catch (cause) {
        part.failed(cause);
        // Once all are made, the takers have what was given. What can still fail is the record.
        if (keepOnFailure || seen.isWayBack || seen.isMade) throw cause;
        // Where a container whose pid namespace it joins was made anew, its process has ended.
        const hasLost = given.length > 0 || (part.joinsOthers && record?.applied !== undefined);
        throw hasLost ? withCleanup(cause, await takeBack(application, given)) : cause;
      }
    },
  };
}

/** Deletions of objects that another container of the call makes, by the name of the container that gives. */
function findHandOvers(
  works: readonly Pick<Application, 'plan' | 'changes'>[],
): ReadonlyMap<string, readonly Change[]> {
  const takers = new Map<string, string[]>();
  for (const { plan, changes } of works)
    for (const { step, action } of changes) {
      const key = keyOf(step);
      if (key === undefined || action === 'delete' || action === 'none') continue;
      takers.set(key, [...(takers.get(key) ?? []), plan.name]);
    }
  const isTaken = (giver: string, { step, action }: Change): boolean =>
    action === 'delete' && takers.get(keyOf(step) ?? '')?.some((name) => name !== giver) === true;
  return new Map(
    works.map(({ plan, changes }) => [plan.name, changes.filter((change) => isTaken(plan.name, change))]),
  );
}

/** The key of an nft element in the kernel; undefined for shared steps, and for objects that no other could have. */
function keyOf(step: Step): string | undefined {
  const isOfOne = step.op === 'nft-element' && step.shared !== true;
  return isOfOne ? `${step.table} ${step.set} ${step.key}` : undefined;
}

/**
 * @returns a failure for each object that could not be taken away.
 * @throws OperationError when the record could not be written; nothing was changed.
 */
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

/** Makes the given objects again. The apply has made no other change to the container yet: the rest is untouched. */
function takeBack(application: Application, given: readonly Change[]): Promise<readonly OperationError[]> {
  const { record, changes } = application;
  const touched = changes.map((change): Change =>
    given.includes(change) ? change : { ...change, action: 'none' },
  );
  return rollBack({ ...application, changes: touched }, { ...record?.before });
}

function withCleanup(cause: unknown, cleanup: readonly OperationError[]): unknown {
  if (cause instanceof OperationError) return cause.with({ cleanup: [...cause.cleanup, ...cleanup] });
  if (cause instanceof UndoneError) return new UndoneError(cause.container, [...cause.cleanup, ...cleanup]);
  if (cause instanceof InterruptedError)
    return new InterruptedError(cause.signal, [...cause.cleanup, ...cleanup]);
  return cause;
}

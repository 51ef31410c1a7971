// An application: everything that is needed to carry out the changes of one container.
import { UnreachedError } from '../errors.ts';
import type { Before, Op, OpContext } from '../ops/op.ts';
import type { OpKind, Plan, Step } from '../plan/plan.ts';
import type { Change } from './changes.ts';
import { bridgeOf, findForeignUser } from './claims.ts';
import type { Reached } from './graph.ts';
import type { Looks } from './looks.ts';
import type { ContainerRecord, Records } from './records.ts';
import type { Reporter } from './report.ts';
import type { Reversal } from './revert.ts';
import type { SeedGathering } from './seed-gathering.ts';
import type { SharedState } from './shared.ts';
import type { Part } from './transaction.ts';

export interface Application {
  readonly context: OpContext;
  readonly records: Records;
  readonly shared: SharedState;
  readonly sharedRuns: SharedRuns;
  readonly sharedUpdates: SharedUpdates;
  readonly looks: Looks;
  readonly seeds?: SeedGathering | undefined;
  readonly report: Reporter;
  readonly plan: Plan;
  readonly changes: readonly Change[];
  readonly record: ContainerRecord | undefined;
  readonly specFile: string;
  readonly bootId: string;
  readonly keepOnFailure: boolean;
  /** Kind of step that the caller carries out itself after the others: `run` starts the process in the foreground. */
  readonly leaveOut?: OpKind | undefined;
  /** Names of the containers of the call that have to run after a rollback, see findNeededByOthers. */
  readonly neededByOthers?: ReadonlySet<string>;
  /** Its part in the apply of all containers of the call. */
  readonly part: Part;
  /** Called when it has failed, before anything is undone. */
  readonly whenFailed?: () => void;
  /** Called, maybe repeatedly, and not awaited, while the runtime creates the container and runspec would be idle. */
  readonly whileCreating?: () => Promise<unknown>;
}

/** The run of each shared step by its id, so that twenty containers of one call make their bridge once. */
export type SharedRuns = Map<string, Promise<void>>;

/**
 * Does work on a shared step once no other container of the call is at it. The work must not wait for another
 * container, which may be waiting for its turn.
 */
export function takeTurn(sharedRuns: SharedRuns, id: string, work: () => Promise<void>): Promise<void> {
  const running = Promise.allSettled([sharedRuns.get(id)]).then(work);
  sharedRuns.set(id, running);
  return running;
}

/**
 * For each shared step that the call updates, by its id: the containers that need the update and have not failed. While
 * there is one, the update is not rolled back.
 */
export type SharedUpdates = Map<string, Set<string>>;

export function findSharedUpdates(changes: readonly Change[]): SharedUpdates {
  const found: SharedUpdates = new Map();
  for (const { step, action, container } of changes) {
    if (step.shared !== true || action !== 'update') continue;
    found.set(step.id, (found.get(step.id) ?? new Set()).add(container));
  }
  return found;
}

/**
 * Names of the containers whose namespaces another one joins that a rollback will start again: it runs only beside a
 * process of theirs, even if theirs had ended.
 */
export function findNeededByOthers(
  works: readonly Pick<Application, 'changes' | 'record'>[],
): ReadonlySet<string> {
  const again = works.filter(({ changes, record }) =>
    changes.some(
      ({ step, action, wasAbsent }) =>
        step.op === 'process' &&
        action === 'replace' &&
        (wasAbsent !== true || record?.pending !== undefined),
    ),
  );
  const steps = again.flatMap(({ record }) => record?.applied?.steps ?? []);
  const joins = steps.flatMap((step) => (step.op === 'bundle' ? step.join : []));
  return new Set(joins.map(({ container }) => container));
}

export async function perform(
  context: OpContext,
  op: Op<OpKind>,
  change: Change,
  before: Before,
  reached: Reached,
): Promise<void> {
  const step = change.step;
  const waiting: OpContext = {
    ...context,
    reached: async (phase) => {
      if (!(await reached(phase))) throw new UnreachedError(step.id);
    },
  };
  if (change.action === 'update' && op.update !== undefined)
    await op.update(waiting, step, await findFormer(context, op, change), before);
  else await op.apply(waiting, step, before);
}

/** What an update may take away parts of: nothing of a shared thing that a container of another data folder uses. */
async function findFormer(context: OpContext, op: Op<OpKind>, { step, former }: Change): Promise<Step> {
  if (former === undefined || op.reduce === undefined || step.shared !== true) return former ?? step;
  const user = await findForeignUser(context, context.container, bridgeOf(step));
  return user === undefined ? former : step;
}

export function reversalOf(application: Application, before: Readonly<Record<string, Before>>): Reversal {
  const { context, records, shared, report } = application;
  return { context, records, shared, report, before, options: { volumes: false } };
}

// The way back: steps are reverted in reverse order, each only when all that stood on it are gone. It
// goes on after a failure and collects what could not be undone. `down` and the rollback of a failed
// apply are the same code.
import { OperationError } from '../errors.ts';
import { despiteSignals } from '../host/commands.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { Before, OpContext, Reverted, RevertOptions } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { Lease, OpKind, Step } from '../plan/plan.ts';
import { bridgeOf, findForeignUser } from './claims.ts';
import { findForeignMount } from './foreign-mounts.ts';
import { walk } from './graph.ts';
import { findNoteOwner } from './volume-notes.ts';
import type { Records } from './records.ts';
import type { Reporter } from './report.ts';
import { withoutUnneeded } from './shared-ipv6.ts';
import type { SharedState } from './shared.ts';

export interface Reversal {
  readonly context: OpContext;
  /** Absent for what has no record: the kernel names its owner, and will again after a kill. */
  readonly records?: Records;
  readonly shared: SharedState;
  readonly report: Reporter;
  readonly before: Readonly<Record<string, Before>>;
  readonly options: RevertOptions;
}

/** @returns what could not be undone; empty when everything is as before. */
export async function revertSteps(
  reversal: Reversal,
  steps: readonly Step[],
): Promise<readonly OperationError[]> {
  const foreign = steps.length === 0 ? undefined : await findForeignMount(reversal.context);
  if (foreign !== undefined) return [foreign];
  const failures: OperationError[] = [];
  await announce(reversal, steps);
  const blocked = new Set<string>();
  const block = (step: Step): void => step.needs.forEach((id) => blocked.add(id));
  await walk(steps, 'backward', async (step) => {
    if (blocked.has(step.id)) {
      block(step);
      return;
    }
    try {
      await revertStep(reversal, step);
    } catch (cause) {
      block(step);
      failures.push(asFailure(reversal.context, step, cause));
    }
  });
  return failures;
}

/**
 * Journals every intent ahead of the first effect, with one sync of the disk. For people: the way back goes by the stored plan,
 * and a disk that is full or no longer to be written must not keep the kernel's things up.
 */
async function announce({ context, records }: Reversal, steps: readonly Step[]): Promise<void> {
  if (records === undefined) return;
  const journal = (step: Step): Promise<void> =>
    records.journal(context.container, { event: 'intent', direction: 'revert', step: step.id });
  await Promise.allSettled(steps.map(journal));
}

async function revertStep(reversal: Reversal, step: Step): Promise<void> {
  const { context, shared, report } = reversal;
  const started = context.host.monotonic();
  const result =
    step.shared === true
      ? await shared.release(
          step.id,
          context.container,
          () => undoShared(reversal, step),
          (staying) => reduceShared(reversal, step, staying),
        )
      : await undo(reversal, step, reversal.before[step.id]);
  report.step({
    container: context.container,
    step,
    action: 'delete',
    outcome: result.outcome,
    milliseconds: context.host.monotonic() - started,
    ...(result.outcome === 'kept' ? { reason: result.reason } : {}),
  });
}

/** Their users are known by links of other data folders; of a bridge, where it is theirs too, or somebody else's. */
const SEEN_BY_LINKS: ReadonlySet<OpKind> = new Set(['bridge', 'docker-user', 'nft-element', 'sysctl']);

export async function whyUsedElsewhere(from: OpContext, step: Step): Promise<string | undefined> {
  if (!SEEN_BY_LINKS.has(step.op)) return undefined;
  const user = await findForeignUser(from, from.container, bridgeOf(step));
  return user && `used by ${user.name} of ${user.where}`;
}

async function undoShared(reversal: Reversal, step: Step): Promise<Reverted> {
  const { context, shared } = reversal;
  const before = shared.before(step.id);
  const findUser = async (from: OpContext): Promise<Reverted | undefined> => {
    const reason = await whyUsedElsewhere(from, step);
    // What was before stays known, for `gc`.
    return reason === undefined ? undefined : { outcome: 'kept', reason };
  };
  const used = await findUser(context);
  if (used !== undefined) return used;
  const owner = await findOtherOwner(reversal, step);
  if (owner !== undefined) return { outcome: 'kept', reason: `${owner} had it too, and is down` };
  const result = await undo(reversal, step, before);
  if (result.outcome === 'removed' || (result.outcome === 'kept' && result.foreign === true)) {
    // Whoever has come up since had seen it there: docs/network.md, "Two data folders".
    const fresh = { ...context, view: createKernelView(context.host) };
    const late = await findUser(fresh);
    if (late !== undefined) {
      await despiteSignals(() => opOf(step).apply(fresh, step, before ?? {}));
      return late;
    }
  }
  if (result.outcome !== 'kept' || result.foreign === true) await shared.forget(step.id);
  return result;
}

/** Others stay, and some of it was for those alone who have gone. */
async function reduceShared(
  { context, shared }: Reversal,
  step: Step,
  staying: readonly Lease[],
): Promise<void> {
  const rest = withoutUnneeded(step, staying);
  if (rest === undefined) return;
  // What containers of other data folders need of it, nothing here tells.
  if ((await findForeignUser(context, context.container, bridgeOf(step))) !== undefined) return;
  await despiteSignals(async () => opOf(step).reduce?.(context, step, rest, shared.before(step.id) ?? {}));
}

/** Of a volume: whoever is down has left its data there. */
async function findOtherOwner({ context, options }: Reversal, step: Step): Promise<string | undefined> {
  if (!options.volumes || step.op !== 'directory' || step.removal !== 'volume') return undefined;
  return findNoteOwner(context, step.path, [context.container, ...(options.together ?? [])]);
}

async function undo({ context, options }: Reversal, step: Step, before: Before = {}): Promise<Reverted> {
  return despiteSignals(async () => {
    try {
      return await opOf(step).revert(context, step, before, options);
    } catch (error) {
      // How far a program got, only the kernel can tell.
      context.view.forget();
      throw error;
    }
  });
}

export function asFailure({ container }: OpContext, step: Step, cause: unknown): OperationError {
  if (cause instanceof OperationError) return cause.with({ container, step: step.id });
  const error = cause instanceof Error ? cause : new Error(String(cause));
  return new OperationError(`${opOf(step).describe(step)}: ${error.message}`, {
    container,
    step: step.id,
    cause: error,
    hint: hintForErrno(error),
  });
}

export function recordFailure(container: string, cause: unknown): OperationError {
  const error = cause as NodeJS.ErrnoException;
  return new OperationError(`cannot keep the record of ${container}: ${error.message}`, {
    cause,
    container,
    hint: hintForErrno(error),
  });
}

/** Work on a container's record; @returns what it failed with. */
export async function attempt(
  container: string,
  work: () => Promise<void>,
): Promise<readonly OperationError[]> {
  try {
    await work();
    return [];
  } catch (cause) {
    return [recordFailure(container, cause)];
  }
}

export function hintForErrno(error: NodeJS.ErrnoException): string | undefined {
  switch (error.code) {
    case 'ENOSPC':
      return 'the disk is full; free some space and try again';
    case 'EROFS':
      return 'the file system is read-only; choose others with --state-dir and --data-dir';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'something that is no folder is in the way; choose others with --state-dir and --data-dir';
    case 'EACCES':
    case 'EPERM':
      // Whoever is not root does not come this far.
      return 'even root is refused this: an immutable file (lsattr), a missing capability or a security module';
    default:
      return undefined;
  }
}

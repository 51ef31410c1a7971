// Reverts steps in reverse order, each only when all that stood on it is gone, for `down` and for the rollback of a
// failed apply. It goes on after a failure and collects what could not be undone.
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
  /** Absent for objects without a record: the kernel names their owner, and still does after a kill. */
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
 * Journals every intent ahead of the first effect, with one sync of the disk. The entries are for people only, since
 * steps are reverted by the stored plan: a disk that is full or read-only must not keep the kernel's objects up, so
 * failures are ignored.
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

/**
 * Kinds of shared steps whose users in other data folders are recognized by their links. For a step of a bridge those
 * are the links on it: the bridge may be made by both data folders, or by somebody else.
 */
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
    // The former state stays known: `gc` goes back to it once nobody uses the object.
    return reason === undefined ? undefined : { outcome: 'kept', reason };
  };
  const used = await findUser(context);
  if (used !== undefined) return used;
  const owner = await findOtherOwner(reversal, step);
  if (owner !== undefined) return { outcome: 'kept', reason: `${owner} had it too, and is down` };
  const result = await undo(reversal, step, before);
  if (result.outcome === 'removed' || (result.outcome === 'kept' && result.foreign === true)) {
    // A container of another data folder that has come up meanwhile had found the object there, so it is made again:
    // docs/network.md, "Two data folders".
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

/** Takes away the parts of a shared step that only the containers which have gone needed, as others stay. */
async function reduceShared(
  { context, shared }: Reversal,
  step: Step,
  staying: readonly Lease[],
): Promise<void> {
  const rest = withoutUnneeded(step, staying);
  if (rest === undefined) return;
  // No record here tells which parts a container of another data folder needs.
  if ((await findForeignUser(context, context.container, bridgeOf(step))) !== undefined) return;
  await despiteSignals(async () => opOf(step).reduce?.(context, step, rest, shared.before(step.id) ?? {}));
}

/** Another container whose data is in the volume that the step removes: one that is down and has left it there. */
async function findOtherOwner({ context, options }: Reversal, step: Step): Promise<string | undefined> {
  if (!options.volumes || step.op !== 'directory' || step.removal !== 'volume') return undefined;
  return findNoteOwner(context, step.path, [context.container, ...(options.together ?? [])]);
}

async function undo({ context, options }: Reversal, step: Step, before: Before = {}): Promise<Reverted> {
  return despiteSignals(async () => {
    try {
      return await opOf(step).revert(context, step, before, options);
    } catch (error) {
      // Only the kernel can tell how far a program that failed had got.
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

/** Does work on a container's record; @returns the failure, if any. */
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
      // Users other than root were refused before this.
      return 'even root is refused this: an immutable file (lsattr), a missing capability or a security module';
    default:
      return undefined;
  }
}

// Carries out the changes of one container as a transaction: all of them, or none.
import { InterruptedError, OperationError, UndoneError, UnreachedError } from '../errors.ts';
import type { Before, OpContext } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import { layEndAside } from '../runtime/former-end.ts';
import { checkAhead, makeAhead } from './ahead.ts';
import { announce } from './announce.ts';
import { perform, reversalOf, type Application } from './application.ts';
import { hasEffect, type Change } from './changes.ts';
import { walk, type Reached } from './graph.ts';
import { noteBeginning, noteVolumes } from './volume-notes.ts';
import { goesLast, isOutgoing } from './outgoing.ts';
import { createOutcomes, type Outcomes } from './outcomes.ts';
import { asFailure, attempt, recordFailure, revertSteps } from './revert.ts';
import type { RollbackCause } from './report.ts';
import { findTaken, rollBack } from './roll-back.ts';
import { lookAgain, onFoundations, type Remake } from './second-look.ts';
import { isSeeded } from './seed-gathering.ts';
import { isRecorded } from './settled.ts';

/**
 * @throws OperationError or InterruptedError, after everything done was undone. With `keepOnFailure`, when it must stay
 *   by then, or when only the record could not be tidied up at the end, nothing is undone.
 */
export async function applyChanges(application: Application): Promise<void> {
  const { context, records, shared, plan, changes, record, part } = application;
  if (!hasEffect(changes) && record?.pending === undefined && record?.applied !== undefined) {
    if (!(await part.made())) throw undone(application, []);
    return tidyUp(plan.name, async () => {
      if (!isRecorded(record, plan, application.specFile)) {
        await records.finish(plan, record.before, application.specFile);
        await records.settle(plan.name);
      }
      await noteVolumes(context, plan.name, plan.steps);
    });
  }
  const refuse = (cause: unknown): unknown => {
    application.whenFailed?.();
    shared.fallBack(plan.name, record);
    part.failed(cause);
    return cause instanceof OperationError
      ? cause.with({ cleanup: [...cause.cleanup, ...findTaken(application)] })
      : cause;
  };
  try {
    await makeAhead(application, (change, reached) => runShared(application, change, reached));
    await checkAhead(application);
  } catch (cause) {
    if (!context.signal.aborted) throw refuse(cause);
    throw refuse(part.brokenBy() === undefined ? interrupted(context, []) : undone(application, []));
  }
  await part.ready();
  if (!part.begin()) {
    application.whenFailed?.();
    throw undone(application, []);
  }
  const before: Record<string, Before> = { ...record?.before };
  try {
    await records.begin(plan, record, application.specFile);
    await keepEnd(application);
  } catch (cause) {
    const failure = recordFailure(plan.name, cause);
    // Nothing but the record was changed so far.
    const left = await attempt(plan.name, async () => {
      if (record === undefined) await records.remove(plan.name);
      else if (record.pending === undefined) await records.settle(plan.name);
    });
    throw refuse(failure.with({ cleanup: left }));
  }
  const failure = await carryOut(application, before);
  if (failure === undefined) return tidyUp(plan.name, () => records.settle(plan.name));
  if (failure !== 'undone' && part.mustStay()) throw failure.with({ hint: STAYS });
  // A signal to the whole group, as Ctrl-C is, ends programs of ours too: within this turn of the event loop it is known.
  await context.host.sleep(0);
  // One that comes later, while all is being undone, does not hide why.
  const isInterrupted = context.signal.aborted;
  const isUndone = failure === 'undone' || (isInterrupted && part.brokenBy() !== undefined);
  if (application.keepOnFailure && !isUndone) throw isInterrupted ? interrupted(context, [failure]) : failure;
  application.whenFailed?.();
  if (!isUndone) part.failed(isInterrupted ? interrupted(context, []) : failure);
  application.report.rollback(context.container, whyBack(application, failure));
  const cleanup = await rollBack(application, before, failure === 'undone' ? undefined : failure);
  if (isUndone) throw undone(application, cleanup);
  throw isInterrupted ? interrupted(context, cleanup) : failure.with({ cleanup });
}

/** Error of a container that was undone because another one was broken off, which tells why. */
function undone({ plan }: Application, cleanup: readonly Error[]): UndoneError {
  return new UndoneError(plan.name, cleanup);
}

function whyBack({ context, part }: Application, failure: OperationError | 'undone'): RollbackCause {
  if (context.signal.aborted) return {};
  const failed = part.brokenBy() ?? context.container;
  return failure === 'undone' || failure.step === undefined ? { failed } : { step: failure.step };
}

const STAYS = 'it is up, as others have joined it; apply once more when this is mended';

/** Ends work on the record of a container that is as planned. A failure undoes nothing any more. */
async function tidyUp(container: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    throw recordFailure(container, cause).with({
      hint: 'it is up; the next apply or down tidies its record up',
    });
  }
}

function interrupted({ signal }: OpContext, cleanup: readonly Error[]): InterruptedError {
  return new InterruptedError(signal.reason as InterruptedError['signal'], cleanup);
}

/** Makes the changes and records them as done. @returns the first failure; `undone` when another container failed. */
async function carryOut(
  application: Application,
  before: Record<string, Before>,
): Promise<OperationError | 'undone' | undefined> {
  const { context, records, plan, specFile } = application;
  const failure = await carryOutChanges(application, before);
  if (failure !== undefined) return failure;
  let noted: Awaited<ReturnType<typeof noteVolumes>> | undefined;
  try {
    // From here on the data in the volumes is the container's. noteVolumes also removes the marks of volumes that an
    // apply is making: with such a mark, `gc` would remove the volume with its data if the record got lost.
    noted = await noteVolumes(context, plan.name, plan.steps);
    await records.finish(plan, withShared(application, before), specFile);
    return undefined;
  } catch (cause) {
    // On a failing disk the failure of the record is the one to report; the caller still rolls back.
    if (!application.part.mustStay()) await noted?.undo().catch(() => undefined);
    return recordFailure(plan.name, cause);
  }
}

/**
 * Keeps for the rollback how the process had ended, which its new start forgets. After a kill what is aside is left as it
 * is: an end that is found now may be the work of the apply that was cut short.
 */
async function keepEnd({ context, changes, record }: Application): Promise<void> {
  if (record?.applied === undefined || record.pending !== undefined) return;
  const change = changes.find(({ step }) => step.op === 'process');
  if (change?.step.op === 'process' && change.wasAbsent === true)
    await layEndAside(context.host, change.step.records);
}

/** Adds the former state of the shared things, which another container may have changed first. */
function withShared(
  { plan, shared }: Application,
  before: Readonly<Record<string, Before>>,
): Readonly<Record<string, Before>> {
  const known = plan.steps.flatMap((step): readonly (readonly [string, Before])[] => {
    const found = step.shared === true ? shared.before(step.id) : undefined;
    return found === undefined ? [] : [[step.id, found]];
  });
  return { ...before, ...Object.fromEntries(known) };
}

async function carryOutChanges(
  application: Application,
  before: Record<string, Before>,
): Promise<OperationError | 'undone' | undefined> {
  const { context, changes, part } = application;
  const takeAway = (outgoing: readonly Change[]): Promise<readonly OperationError[]> =>
    revertSteps(
      reversalOf(application, before),
      outgoing.map((change) => change.former ?? change.step),
    );
  const outgoing = changes.filter(isOutgoing);
  const last = outgoing.filter((change) => goesLast(application, change));
  const failures = [...(await takeAway(outgoing.filter((change) => !last.includes(change))))];
  const byStep = new Map(
    changes.filter((change) => change.action !== 'delete').map((change) => [change.step, change]),
  );
  const outcomes = createOutcomes(context.host, (entry) =>
    application.records.journal(context.container, entry),
  );
  const stop = (): boolean => failures.length > 0 || context.signal.aborted || part.brokenBy() !== undefined;
  if (!stop()) failures.push(...(await announce(application, [...byStep.values()], before)));
  let left = byStep.size;
  const remake: Remake = async (changed, change) => {
    const [failure] = await announce(changed, [change], before);
    if (failure !== undefined) throw failure;
    const found = { [change.step.id]: changed.shared.before(change.step.id) ?? {} };
    await runStep(changed, change, found, () => Promise.resolve(true), outcomes);
  };
  let looking: Promise<void> | undefined;
  const look = (): Promise<void> => {
    looking ??= lookAgain(application, remake).catch(
      (cause: unknown) => void failures.push(cause as OperationError),
    );
    return looking;
  };
  await walk(
    [...byStep.keys()],
    'forward',
    async (step, phases) => {
      const reached: Reached = async (phase) => {
        const isReached = await phases(phase);
        if (phase === 'start') void application.whileCreating?.();
        // By now the container's link and root tell runspecs with other data folders that it uses the shared things.
        // Shared things that another runspec removed before that are made again here, while the runtime is at work.
        if (phase === 'start' && isReached) void look();
        return isReached;
      };
      const change = byStep.get(step) as Change;
      if (step.op === application.leaveOut) return;
      try {
        if (change.action !== 'none')
          await (step.shared === true
            ? runShared(application, change, reached, outcomes, remake)
            : runStep(application, change, before, reached, outcomes, remake));
        left -= 1;
      } catch (cause) {
        // An UnreachedError only follows from another failure or from the interrupt, which are reported themselves.
        if (!(cause instanceof UnreachedError)) failures.push(asFailure(context, step, cause));
      }
    },
    stop,
  );
  if (!stop()) await look();
  else await looking;
  // A signal that comes when all is made comes too late: to end the process may take its whole stopTimeout.
  const isMade = (): boolean => failures.length === 0 && (left === 0 || !stop());
  const unwritten = await (isMade() ? outcomes.end() : outcomes.write());
  if (unwritten !== undefined) failures.push(recordFailure(application.plan.name, unwritten));
  if (isMade() && (await part.made())) {
    // From here on each container stands for itself.
    failures.push(...(await takeAway(last)));
    return failures[0];
  }
  if (failures[0] !== undefined) return failures[0];
  if (part.brokenBy() !== undefined) return 'undone';
  return new OperationError(`interrupted by ${String(context.signal.reason)}`);
}

/** Performs a change, says how it went, and leaves the outcome for the journal. */
async function runStep(
  application: Application,
  change: Change,
  before: Readonly<Record<string, Before>>,
  reached: Reached,
  outcomes?: Outcomes,
  remake?: Remake,
): Promise<void> {
  const { context, report } = application;
  const { step, action, reason } = change;
  const started = context.host.monotonic();
  const say = (outcome: 'done' | 'failed', error?: string): void => {
    const milliseconds = context.host.monotonic() - started;
    const because = reason === undefined ? {} : { reason };
    report.step({ container: context.container, step, action, outcome, milliseconds, ...because });
    const direction = action === 'update' ? 'update' : 'apply';
    outcomes?.add({ event: outcome, direction, step: step.id, ...(error === undefined ? {} : { error }) });
  };
  try {
    await onFoundations(application, step, remake, (from) =>
      perform(from, opOf(step), change, before[step.id] ?? {}, reached),
    );
  } catch (cause) {
    if (cause instanceof UnreachedError) throw cause;
    say('failed', cause instanceof Error ? cause.message : String(cause));
    throw cause;
  }
  say('done');
}

function runShared(
  application: Application,
  change: Change,
  reached: Reached,
  outcomes?: Outcomes,
  remake?: Remake,
): Promise<void> {
  const { context, shared, sharedRuns, seeds } = application;
  const { step } = change;
  const run = (one: Change): Promise<void> =>
    runStep(application, one, { [step.id]: shared.before(step.id) ?? {} }, reached, outcomes, remake);
  seeds?.arrive(context.container, step);
  const begin = async (): Promise<void> => {
    if (step.op !== 'directory' || seeds === undefined || !isSeeded(step)) return run(change);
    const all = await seeds.seedsOf(step);
    await noteBeginning(context, context.container, step.path);
    return run({ ...change, step: { ...step, seeds: all } });
  };
  const running = sharedRuns.get(step.id) ?? begin();
  sharedRuns.set(step.id, running);
  return running;
}

// Carries out the changes of one container as a transaction: all of them, or none.
import { InterruptedError, OperationError } from '../errors.ts';
import type { Before, OpContext } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { Plan } from '../plan/plan.ts';
import { perform, reversalOf, type Application } from './application.ts';
import { hasEffect, type Change } from './changes.ts';
import { walk } from './graph.ts';
import { asFailure, hintForErrno, revertSteps } from './revert.ts';
import { rollBack } from './roll-back.ts';

/** @throws OperationError or InterruptedError after everything done was undone. */
export async function applyChanges(application: Application): Promise<void> {
  const { context, records, plan, changes, record } = application;
  if (!hasEffect(changes) && record?.pending === undefined && record?.applied !== undefined) {
    if (record.applied.specDigest !== plan.specDigest)
      await records.finish(plan, record.before, application.specFile);
    return;
  }
  const before: Record<string, Before> = { ...record?.before };
  try {
    await records.begin(plan, record, application.specFile);
  } catch (cause) {
    // Nothing was changed yet but the records themselves.
    if (record === undefined) await records.remove(plan.name);
    throw recordFailure(plan, cause);
  }
  const failure = await carryOut(application, before);
  if (failure === undefined) return;
  if (application.keepOnFailure) throw context.signal.aborted ? interrupted(context, [failure]) : failure;
  application.report.rollback(context.container, failure.step ?? '');
  const cleanup = await rollBack(application, before);
  if (context.signal.aborted) throw interrupted(context, cleanup);
  const { hint, step, path, command, cause } = failure;
  throw new OperationError(failure.message, { hint, step, path, command, cause, cleanup });
}

function interrupted({ signal }: OpContext, cleanup: readonly Error[]): InterruptedError {
  return new InterruptedError(signal.reason as InterruptedError['signal'], cleanup);
}

/** Up to the record that it is done; @returns what went wrong first. */
async function carryOut(
  application: Application,
  before: Record<string, Before>,
): Promise<OperationError | undefined> {
  const { records, plan, specFile } = application;
  const failure = await carryOutChanges(application, before);
  if (failure !== undefined) return failure;
  try {
    await records.finish(plan, before, specFile);
    return undefined;
  } catch (cause) {
    return recordFailure(plan, cause);
  }
}

function recordFailure(plan: Plan, cause: unknown): OperationError {
  const error = cause as NodeJS.ErrnoException;
  return new OperationError(`cannot keep the record of ${plan.name}: ${error.message}`, {
    cause,
    hint: hintForErrno(error),
  });
}

async function carryOutChanges(
  application: Application,
  before: Record<string, Before>,
): Promise<OperationError | undefined> {
  const { context, changes } = application;
  const outgoing = changes.filter((change) => change.action === 'delete' || change.action === 'replace');
  const failures = [
    ...(await revertSteps(
      reversalOf(application, before),
      outgoing.map((change) => change.former ?? change.step),
    )),
  ];
  const byStep = new Map(
    changes.filter((change) => change.action !== 'delete').map((change) => [change.step, change]),
  );
  const stop = (): boolean => failures.length > 0 || context.signal.aborted;
  if (!stop()) failures.push(...(await announce(application, [...byStep.values()], before)));
  await walk(
    [...byStep.keys()],
    'forward',
    async (step) => {
      const change = byStep.get(step) as Change;
      if (change.action === 'none' || step.op === application.leaveOut) return;
      try {
        await (step.shared === true ? runShared(application, change) : runStep(application, change, before));
      } catch (cause) {
        failures.push(asFailure(step, cause));
      }
    },
    stop,
  );
  if (context.signal.aborted)
    return failures[0] ?? new OperationError(`interrupted by ${String(context.signal.reason)}`);
  return failures[0];
}

/**
 * Journals every intent, with what was there before, ahead of the first effect: one sync of the disk and not
 * one for each step, which took a third of an apply.
 */
async function announce(
  application: Application,
  changes: readonly Change[],
  before: Record<string, Before>,
): Promise<readonly OperationError[]> {
  const { context, records, shared, leaveOut } = application;
  const failures: OperationError[] = [];
  const look = async ({ step }: Change): Promise<void> => {
    // Only the first look counts: later ones would see our own work.
    const known = step.shared === true ? shared.before(step.id) : before[step.id];
    const found = known ?? (await opOf(step).before?.(context, step));
    if (found === undefined) return;
    if (step.shared === true) await shared.remember(step.id, found);
    else before[step.id] = found;
  };
  const attempt = async (change: Change, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (cause) {
      failures.push(asFailure(change.step, cause));
    }
  };
  const wanted = changes.filter((change) => change.action !== 'none' && change.step.op !== leaveOut);
  await Promise.all(wanted.map((change) => attempt(change, () => look(change))));
  if (failures.length > 0) return failures;
  const own = wanted.filter((change) => change.step.shared !== true);
  await Promise.all(
    own.map((change) =>
      attempt(change, () => {
        const { id } = change.step;
        const found = before[id];
        const direction = change.action === 'update' ? 'update' : 'apply';
        return records.journal(context.container, {
          event: 'intent',
          direction,
          step: id,
          ...(found === undefined ? {} : { before: found }),
        });
      }),
    ),
  );
  return failures;
}

async function runStep(
  application: Application,
  change: Change,
  before: Readonly<Record<string, Before>>,
): Promise<void> {
  const { context, records, report } = application;
  const { step } = change;
  const op = opOf(step);
  const started = context.host.now();
  const direction = change.action === 'update' ? 'update' : 'apply';
  const name = context.container;
  try {
    await perform(context, op, change, before[step.id] ?? {});
  } catch (cause) {
    report.step({
      container: name,
      step,
      action: change.action,
      outcome: 'failed',
      milliseconds: context.host.now() - started,
    });
    await records.journal(name, { event: 'failed', direction, step: step.id, error: String(cause) });
    throw cause;
  }
  const reason = change.reason === undefined ? {} : { reason: change.reason };
  report.step({
    container: name,
    step,
    action: change.action,
    outcome: 'done',
    milliseconds: context.host.now() - started,
    ...reason,
  });
}

function runShared(application: Application, change: Change): Promise<void> {
  const { context, shared, sharedRuns, report } = application;
  const { step } = change;
  const running = sharedRuns.get(step.id);
  if (running !== undefined) return running;
  const run = async (): Promise<void> => {
    const started = context.host.now();
    const op = opOf(step);
    await perform(context, op, change, shared.before(step.id) ?? {});
    const reason = change.reason === undefined ? {} : { reason: change.reason };
    const milliseconds = context.host.now() - started;
    report.step({
      container: context.container,
      step,
      action: change.action,
      outcome: 'done',
      milliseconds,
      ...reason,
    });
  };
  const promise = run();
  sharedRuns.set(step.id, promise);
  return promise;
}

// Carries out the changes of one container as a transaction: all of them, or none.
import { InterruptedError, OperationError } from '../errors.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { Before, Op, OpContext } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { OpKind, Plan, Step } from '../plan/plan.ts';
import type { Change } from './changes.ts';
import { hasEffect } from './changes.ts';
import { walk } from './graph.ts';
import type { ContainerRecord, Records } from './records.ts';
import { recordedSteps } from './records.ts';
import type { Reporter } from './report.ts';
import { asFailure, hintForErrno, revertSteps } from './revert.ts';
import type { SharedState } from './shared.ts';

export interface Application {
  readonly context: OpContext;
  readonly records: Records;
  readonly shared: SharedState;
  readonly sharedRuns: SharedRuns;
  readonly report: Reporter;
  readonly plan: Plan;
  readonly changes: readonly Change[];
  readonly record: ContainerRecord | undefined;
  readonly specFile: string;
  readonly keepOnFailure: boolean;
  /** A kind of step that the caller carries out itself, once the others are through: `run` has the process. */
  readonly leaveOut?: OpKind | undefined;
}

/** Shared steps of one call, so that twenty containers make their bridge once. */
export type SharedRuns = Map<string, Promise<void>>;

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
  const { hint, step, command, cause } = failure;
  throw new OperationError(failure.message, { hint, step, command, cause, cleanup });
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

async function perform(context: OpContext, op: Op<OpKind>, change: Change, before: Before): Promise<void> {
  const step = change.step;
  if (change.action === 'update' && op.update !== undefined)
    await op.update(context, step, change.former ?? step, before);
  else await op.apply(context, step, before);
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

/** Back to the applied plan, or to nothing; a former step that was taken away or changed is made again. */
async function rollBack(
  application: Application,
  before: Record<string, Before>,
): Promise<readonly OperationError[]> {
  const { context, records, record, changes, plan } = application;
  // An interrupt must not stop the way back.
  const calm: Application = {
    ...application,
    context: { ...context, signal: new AbortController().signal, view: createKernelView(context.host) },
  };
  const touched = changes.filter((change) => change.action !== 'none' && change.action !== 'delete');
  if (record?.applied === undefined) {
    const left = record === undefined ? plan.steps : [...plan.steps, ...recordedSteps(record)];
    const failures = await revertSteps(
      reversalOf(calm, before),
      left.map((step) => withoutKeeping(changes, step)),
    );
    if (failures.length === 0) await records.remove(plan.name);
    return failures;
  }
  const created = touched.filter((change) => change.former === undefined || change.action === 'replace');
  const failures = [
    ...(await revertSteps(
      reversalOf(calm, before),
      created.map((change) => withoutKeeping(changes, change.step)),
    )),
  ];
  const lost = new Set(
    changes
      .filter((change) => change.former !== undefined && change.action !== 'none')
      .map((change) => change.step.id),
  );
  calm.context.view.forget();
  await walk(
    record.applied.steps.filter((step) => lost.has(step.id)),
    'forward',
    async (step) => {
      try {
        await restore(calm, step);
      } catch (cause) {
        failures.push(asFailure(step, cause));
      }
    },
  );
  if (failures.length === 0) await records.abandon(record);
  return failures;
}

/** Volumes and writable layers outlive a container, but not an apply that made them and failed. */
function withoutKeeping(changes: readonly Change[], step: Step): Step {
  if (step.op !== 'directory' || step.removal !== 'volume') return step;
  const made = changes.some(
    (change) => change.step.id === step.id && change.action === 'create' && change.former === undefined,
  );
  return made ? { ...step, removal: 'tree' } : step;
}

async function restore(application: Application, step: Step): Promise<void> {
  const { context, record, shared } = application;
  const op = opOf(step);
  const probe = await op.probe(context, step);
  if (probe.state === 'present') return;
  const action = probe.state === 'drifted' && probe.inPlace && op.update !== undefined ? 'update' : 'create';
  let before = record?.before[step.id];
  if (step.shared === true) {
    // It was forgotten when it was let go of, and is to be undone once more by the next `down`.
    shared.hold(step.id, context.container);
    before = shared.before(step.id) ?? (await op.before?.(context, step));
    if (before !== undefined) await shared.remember(step.id, before);
  }
  await perform(context, op, { container: context.container, action, step }, before ?? {});
}

function reversalOf(application: Application, before: Readonly<Record<string, Before>>) {
  const { context, records, shared, report } = application;
  return { context, records, shared, report, before, options: { volumes: false } } as const;
}

// The rollback of a failed apply: to the plan that was applied before, or to nothing.
import { OperationError } from '../errors.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { Before, OpContext } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { Plan, Step } from '../plan/plan.ts';
import { type Application, perform, reversalOf, takeTurn } from './application.ts';
import type { Change } from './changes.ts';
import { walk, type Reached } from './graph.ts';
import { forgetBeginnings, notedVolumes } from './volume-notes.ts';
import { survivesReboot } from './reboot.ts';
import { type ContainerRecord, recordedSteps, stepsOfNeither } from './records.ts';
import { bringEndBack, isEndAside } from '../runtime/former-end.ts';
import { readAsOfNow } from './shared-ipv6.ts';
import { asFailure, attempt, revertSteps } from './revert.ts';

/**
 * Back to what was there before: the applied plan, or nothing. A former step that was taken away or changed is made again,
 * but for what was gone with the boot in which it was applied.
 *
 * @param failed what the apply failed with, if it was a step.
 * @returns what could not be undone.
 */
export async function rollBack(
  application: Application,
  before: Record<string, Before>,
  failed?: OperationError,
): Promise<readonly OperationError[]> {
  const { context, records, shared, record, plan, part } = application;
  // An interrupt must not stop the way back.
  const calm: Application = {
    ...application,
    context: { ...context, signal: new AbortController().signal, view: createKernelView(context.host) },
  };
  const failures: OperationError[] = [];
  const noted = record?.applied === undefined ? await notedVolumes(context) : new Set<string>();
  // A record that cannot be written is no reason to leave the kernel's things up.
  failures.push(...(await attempt(plan.name, () => forgetBeginnings(context, context.container))));
  await part.mayUndo();
  if (record?.applied === undefined) {
    failures.push(...(await undoAll(calm, before, noted)));
    return failures.length > 0 ? failures : attempt(plan.name, () => records.remove(plan.name));
  }
  const ended = await staysEnded(calm, record);
  failures.push(...(await undoTouched(calm, record, record.applied, before, ended)));
  // Its new lease is nobody's by now: what the others restore is not to be as that one needed it.
  if (failures.length === 0) shared.fallBack(plan.name, { ...record, pending: undefined, leftover: [] });
  part.undone();
  await part.mayRestore();
  calm.context.view.forget();
  const steps = await readAsOfNow(shared, context.container, record.applied.steps);
  const byId = new Map(calm.changes.map((change) => [change.step.id, change]));
  // All steps, also those that were not touched: a runtime that fails to create a container removes its cgroup.
  await walk(steps, 'forward', async (step, reached) => {
    try {
      await inTurn(calm, step, (from) => restore(from, record, step, byId.get(step.id), reached, ended));
    } catch (cause) {
      const failure = asFailure(calm.context, step, cause);
      if (!isSameRepair(failure, failed, byId.get(step.id))) failures.push(failure);
    }
  });
  return failures.length > 0 ? failures : attempt(plan.name, () => records.abandon(record));
}

/** The repair that the apply failed at, tried once more on the way back: nothing is left of it but what had drifted before. */
function isSameRepair(
  failure: OperationError,
  failed: OperationError | undefined,
  change: Change | undefined,
): boolean {
  if (failure.step !== failed?.step || failure.message !== failed?.message) return false;
  const { action, step, former } = change ?? {};
  return (action === 'update' || action === 'create') && JSON.stringify(former) === JSON.stringify(step);
}

/** Of a first apply: whatever it or one before it may have made. */
function undoAll(
  application: Application,
  before: Record<string, Before>,
  noted: ReadonlySet<string>,
): Promise<readonly OperationError[]> {
  const { record, changes, plan } = application;
  const left = record === undefined ? plan.steps : [...plan.steps, ...recordedSteps(record)];
  const wasMadeByKilled = (step: Step): boolean =>
    record?.before[step.id]?.['existed'] === false && step.op === 'directory' && !noted.has(step.path);
  return revertSteps(
    reversalOf(application, before),
    left.map((step) => withoutKeeping(changes, step, wasMadeByKilled(step))),
  );
}

/**
 * Whether the process is to end as it had before the apply: it is not started again, as its work must not be done twice.
 * After a kill only what was laid aside tells that it had ended.
 */
async function staysEnded(
  { context, changes, neededByOthers }: Application,
  { pending, name }: ContainerRecord,
): Promise<boolean> {
  if (neededByOthers?.has(name) === true) return false;
  const change = changes.find(({ step }) => step.op === 'process');
  if (change?.step.op !== 'process' || change.wasAbsent !== true) return false;
  return pending === undefined || isEndAside(context.host, change.step.records);
}

/** Reverts what an update made, and what a plan that a kill cut short had made: soon no record will tell of it. */
function undoTouched(
  application: Application,
  record: ContainerRecord,
  applied: Plan,
  before: Record<string, Before>,
  ended: boolean,
): Promise<readonly OperationError[]> {
  const { changes, plan } = application;
  const created = changes.filter(
    ({ action, former, step }) =>
      action === 'replace' ||
      // What this apply started ends before the limits are put back, which may be too narrow for it.
      (step.op === 'process' && ended && action !== 'none') ||
      ((action === 'create' || action === 'update') &&
        (former === undefined || wentWithBoot(application, record, step))),
  );
  const ids = new Set(applied.steps.map((step) => step.id));
  const unknown = stepsOfNeither(record, plan).filter((step) => !ids.has(step.id));
  return revertSteps(reversalOf(application, before), [
    ...unknown,
    ...created.map((change) => withoutKeeping(changes, change.step)),
  ]);
}

/** Whether the step's object was not there when this apply began, as the machine was rebooted since the former one. */
function wentWithBoot({ bootId, context }: Application, { appliedIn }: ContainerRecord, step: Step): boolean {
  if (appliedIn === bootId) return false;
  return !survivesReboot(step) || (step.op === 'directory' && step.path.startsWith(`${context.stateDir}/`));
}

/**
 * Volumes and writable layers outlive a container, but not an apply that made them and then failed, even if a kill came
 * in between.
 */
function withoutKeeping(changes: readonly Change[], step: Step, wasMadeByKilled = false): Step {
  if (step.op !== 'directory' || step.removal !== 'volume') return step;
  const made = changes.some(
    ({ step: made, former, wasAbsent }) =>
      made.id === step.id && wasAbsent === true && (former?.op !== 'directory' || former.path !== step.path),
  );
  return made || wasMadeByKilled ? { ...step, removal: 'tree' } : step;
}

/**
 * The containers of the call take turns at a shared step, and each sees what those before it have made. A step that goes
 * with a shared one comes after it: what the two have to build on may have been made by another container.
 */
async function inTurn(
  application: Application,
  step: Step,
  work: (from: Application) => Promise<void>,
): Promise<void> {
  const { context, sharedRuns } = application;
  await Promise.allSettled((step.with ?? []).flatMap((id) => sharedRuns.get(id) ?? []));
  if (step.shared !== true) return work(application);
  return takeTurn(sharedRuns, step.id, () =>
    work({ ...application, context: { ...context, view: createKernelView(context.host) } }),
  );
}

async function restore(
  application: Application,
  record: ContainerRecord,
  step: Step,
  change: Change | undefined,
  reached: Reached,
  ended: boolean,
): Promise<void> {
  const { context, shared } = application;
  const isGone = wentWithBoot(application, record, step);
  if (step.op === 'process' && (isGone || ended)) return bringEndBack(context.host, step.records);
  if (isGone) return;
  const op = opOf(step);
  const probe = await op.probe(context, step);
  // A probe of the former step does not see what an update added beyond it, such as one more limit.
  const wasUpdated = change?.action === 'update' && probe.state !== 'absent';
  if (probe.state === 'present' && !wasUpdated && !(await isUnusable(context, record, step))) return;
  const taken = wasUpdated ? whyTaken(application, step, change.step) : undefined;
  if (taken !== undefined) throw taken;
  const inPlace = wasUpdated || (probe.state === 'drifted' && probe.inPlace);
  const action = inPlace && op.update !== undefined ? 'update' : 'create';
  let before = record.before[step.id];
  if (step.shared === true) {
    // Letting go made runspec forget the object's former state, which the next `down` needs.
    shared.hold(step.id, context.container, record.applied?.lease);
    before = shared.before(step.id) ?? (await op.before?.(context, step));
    if (before !== undefined) await shared.remember(step, before);
  }
  const former = wasUpdated ? change.step : step;
  await perform(context, op, { container: context.container, action, step, former }, before ?? {}, reached);
}

/** A bundle names the processes whose namespaces it joins: once those have ended, no other process can be made by it. */
async function isUnusable(context: OpContext, { applied }: ContainerRecord, step: Step): Promise<boolean> {
  if (step.op !== 'bundle' || step.join.length === 0) return false;
  const process = applied?.steps.find(({ op }) => op === 'process');
  return process !== undefined && (await opOf(process).probe(context, process)).state === 'absent';
}

/** A failure for each shared thing that stays as others of the call need it, and not as this container was applied. */
export function findTaken(application: Application): readonly OperationError[] {
  return application.changes.flatMap(({ action, former, step }) => {
    if (action !== 'update' || former === undefined) return [];
    const taken = whyTaken(application, former, step);
    return taken === undefined ? [] : [asFailure(application.context, step, taken)];
  });
}

function whyTaken({ sharedUpdates }: Application, former: Step, step: Step): OperationError | undefined {
  const users = [...(sharedUpdates.get(step.id) ?? [])];
  if (users.length === 0 || JSON.stringify(former) === JSON.stringify(step)) return undefined;
  return new OperationError(`${opOf(step).describe(step)} stays as ${users.join(', ')} needs it`, {
    hint: 'apply this one again once it is mended; until then it may be out of reach',
  });
}

// The way back of an apply that failed: to what was applied before, or to nothing.
import type { OperationError } from '../errors.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { Before } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { Step } from '../plan/plan.ts';
import { perform, reversalOf, type Application } from './application.ts';
import type { Change } from './changes.ts';
import { walk, type Reached } from './graph.ts';
import { forgetBeginnings, notedVolumes } from './volume-notes.ts';
import { recordedSteps, stepsOfNeither } from './records.ts';
import { bringEndBack } from '../runtime/former-end.ts';
import { asFailure, revertSteps } from './revert.ts';

/** Back to the applied plan, or to nothing; a former step that was taken away or changed is made again. */
export async function rollBack(
  application: Application,
  before: Record<string, Before>,
): Promise<readonly OperationError[]> {
  const { context, records, record, changes, plan } = application;
  // An interrupt must not stop the way back.
  const calm: Application = {
    ...application,
    context: { ...context, signal: new AbortController().signal, view: createKernelView(context.host) },
  };
  await forgetBeginnings(context, context.container);
  const touched = changes.filter((change) => change.action !== 'none' && change.action !== 'delete');
  if (record?.applied === undefined) {
    const left = record === undefined ? plan.steps : [...plan.steps, ...recordedSteps(record)];
    const noted = await notedVolumes(context);
    const wasMadeByKilled = (step: Step): boolean =>
      record?.before[step.id]?.['existed'] === false && step.op === 'directory' && !noted.has(step.path);
    const failures = await revertSteps(
      reversalOf(calm, before),
      left.map((step) => withoutKeeping(changes, step, wasMadeByKilled(step))),
    );
    if (failures.length === 0) await records.remove(plan.name);
    return failures;
  }
  const created = touched.filter((change) => change.former === undefined || change.action === 'replace');
  // What a plan had made that a kill cut short goes too: nobody will know of it any more.
  const ids = new Set(record.applied.steps.map((step) => step.id));
  const unknown = stepsOfNeither(record, plan).filter((step) => !ids.has(step.id));
  const failures = [
    ...(await revertSteps(reversalOf(calm, before), [
      ...unknown,
      ...created.map((change) => withoutKeeping(changes, change.step)),
    ])),
  ];
  const byId = new Map(changes.map((change) => [change.step.id, change]));
  calm.context.view.forget();
  // Of all steps: a runtime that fails to create a container removes its cgroup, limits and all.
  await walk(record.applied.steps, 'forward', async (step, reached) => {
    try {
      await restore(calm, step, byId.get(step.id), reached);
    } catch (cause) {
      failures.push(asFailure(calm.context, step, cause));
    }
  });
  if (failures.length === 0) await records.abandon(record);
  return failures;
}

/** Volumes and writable layers outlive a container, but not an apply that made them and failed, or was killed and then failed. */
function withoutKeeping(changes: readonly Change[], step: Step, wasMadeByKilled = false): Step {
  if (step.op !== 'directory' || step.removal !== 'volume') return step;
  const made = changes.some(
    ({ step: made, former, wasAbsent }) =>
      made.id === step.id && wasAbsent === true && (former?.op !== 'directory' || former.path !== step.path),
  );
  return made || wasMadeByKilled ? { ...step, removal: 'tree' } : step;
}

async function restore(
  application: Application,
  step: Step,
  change: Change | undefined,
  reached: Reached,
): Promise<void> {
  const { context, record, shared } = application;
  // It had ended, and what it did is not to be done twice. After a kill nobody knows: then it is as it was applied.
  if (step.op === 'process' && change?.wasAbsent === true && record?.pending === undefined)
    return bringEndBack(context.host, step.records);
  const op = opOf(step);
  const probe = await op.probe(context, step);
  // What an update added beyond the former step, such as one more limit, no probe of that step sees.
  const wasUpdated = change?.action === 'update' && probe.state !== 'absent';
  if (probe.state === 'present' && !wasUpdated) return;
  const inPlace = wasUpdated || (probe.state === 'drifted' && probe.inPlace);
  const action = inPlace && op.update !== undefined ? 'update' : 'create';
  let before = record?.before[step.id];
  if (step.shared === true) {
    // It was forgotten when it was let go of, and is to be undone once more by the next `down`.
    shared.hold(step.id, context.container);
    before = shared.before(step.id) ?? (await op.before?.(context, step));
    if (before !== undefined) await shared.remember(step, before);
  }
  const former = wasUpdated ? change.step : step;
  await perform(context, op, { container: context.container, action, step, former }, before ?? {}, reached);
}

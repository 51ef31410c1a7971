// What comes before the first change of an update, while all that it replaces is still in use: a spec that cannot work ends no
// process, and one that can lets nobody wait for what is as well made beside the process that runs.
import type { OperationError } from '../errors.ts';
import { opOf } from '../ops/index.ts';
import type { Trial } from '../ops/op.ts';
import { containerFolder, RECORD_FOLDERS } from '../plan/container-folder.ts';
import type { Application } from './application.ts';
import type { Change } from './changes.ts';
import { walk, type Reached } from './graph.ts';
import { isOutgoing } from './outgoing.ts';
import { asFailure, attempt } from './revert.ts';

/**
 * Makes the layers, which share nothing with a container that runs: they come into the store whole, and stay there whatever
 * becomes of the apply. So no record tells of them yet, and after a kill the container is as it was. `run` rejects with what
 * failed.
 *
 * @throws what failed first, or the reason of an interrupt.
 */
export async function makeAhead(
  { context, changes }: Application,
  run: (change: Change, reached: Reached) => Promise<void>,
): Promise<void> {
  // With nothing to keep up they are made beside the network.
  if (!changes.some(isOutgoing)) return;
  const layers = new Map(
    changes.filter(({ step, action }) => step.op === 'layer' && isMade(action)).map((one) => [one.step, one]),
  );
  const failures: OperationError[] = [];
  await walk(
    [...layers.keys()],
    'forward',
    (step, reached) =>
      run(layers.get(step) as Change, reached).catch((cause: unknown) => {
        failures.push(asFailure(context, step, cause));
      }),
    () => failures.length > 0 || context.signal.aborted,
  );
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  context.signal.throwIfAborted();
}

function isMade(action: Change['action']): boolean {
  return action === 'create' || action === 'replace';
}

/**
 * Checks what is to be made, against what is there already and what stands in for the rest.
 *
 * @throws OperationError
 */
export async function checkAhead({ context, changes }: Application): Promise<void> {
  if (!changes.some(isOutgoing)) return;
  const { host, dataDir, container } = context;
  const mountpoints = `${containerFolder(dataDir, container)}/${RECORD_FOLDERS.trial}`;
  const root = rootOf(changes, mountpoints);
  const trial: Trial = { mountpoints, ...(typeof root === 'string' ? {} : { layers: root }) };
  const failures: OperationError[] = [];
  for (const { step, action } of changes) {
    if (!isMade(action) || (step.op === 'bundle' && root === 'unknown') || failures.length > 0) continue;
    await opOf(step)
      .check?.(context, step, trial)
      .catch((cause: unknown) => failures.push(asFailure(context, step, cause)));
  }
  failures.push(...(await attempt(container, async () => void (await host.removeTree(mountpoints)))));
  const [failure, ...cleanup] = failures;
  if (failure !== undefined) throw failure.with({ cleanup: [...failure.cleanup, ...cleanup] });
}

/**
 * Layers, with the trial's mount points; or the root that is mounted. Unknown where what the container has written stays a
 * part of it: which of it hides what, only the kernel can tell.
 */
function rootOf(changes: readonly Change[], trial: string): readonly string[] | 'mounted' | 'unknown' {
  const overlay = changes.find(({ step, action }) => step.op === 'overlay' && action !== 'delete');
  if (overlay?.step.op !== 'overlay') return 'unknown';
  if (overlay.action === 'none') return 'mounted';
  const { lower, upper } = overlay.step;
  const isEmpty = ({ step, action }: Change): boolean =>
    step.op === 'directory' && step.path === upper && step.removal === 'tree' && isMade(action);
  if (upper !== undefined && !changes.some(isEmpty)) return 'unknown';
  const made = changes.flatMap(({ step, action }) =>
    step.op === 'mountpoints' && isMade(action) ? [step.path] : [],
  );
  return lower.map((layer) => (made.includes(layer) ? trial : layer));
}

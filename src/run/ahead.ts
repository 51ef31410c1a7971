// What comes before the first change of an update, while all that it replaces is still in use: a spec that cannot work ends no
// process, and one that can lets nobody wait for what is as well made beside the process that runs.
import type { OperationError } from '../errors.ts';
import { opOf } from '../ops/index.ts';
import type { OpKind } from '../plan/plan.ts';
import type { Application } from './application.ts';
import type { Change } from './changes.ts';
import { walk, type Reached } from './graph.ts';
import { asFailure } from './revert.ts';

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

/** Something of the former version is taken away for it. */
export function isOutgoing({ action }: Change): boolean {
  return action === 'delete' || action === 'replace';
}

function isMade(action: Change['action']): boolean {
  return action === 'create' || action === 'replace';
}

/**
 * A program that is not there ends no process that runs well: what can be told from the root as it is mounted is told before.
 *
 * @throws OperationError
 */
export async function checkAhead({ context, changes }: Application): Promise<void> {
  const isLasting = (op: OpKind): boolean =>
    changes.every(({ step, action }) => step.op !== op || action === 'none');
  if (!isLasting('overlay') || !isLasting('mountpoints') || !isLasting('layer')) return;
  for (const { step, action } of changes) {
    if (action !== 'replace') continue;
    await opOf(step)
      .check?.(context, step)
      .catch((cause: unknown) => Promise.reject(asFailure(context, step, cause)));
  }
}

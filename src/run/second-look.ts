// Things of the host that a container shares with those of other data folders may be taken away while it is made: the
// lock is one data folder's, and a `down` in another one sees no user yet. docs/network.md, "Two data folders", has all of it.
import { OperationError } from '../errors.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { OpContext } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { OpKind, Step } from '../plan/plan.ts';
import { predecessors } from '../plan/step-base.ts';
import type { Application } from './application.ts';
import type { Change } from './changes.ts';
import { asFailure } from './revert.ts';

/** Not the folders that are bound on themselves: bound once more they would hide what is mounted below them by now. */
const LASTING: ReadonlySet<OpKind> = new Set([
  'bridge',
  'controller',
  'docker-user',
  'nft-element',
  'nft-table',
  'sysctl',
]);

/** Performs and records a change, by the view of the application that it is given. */
export type Remake = (application: Application, change: Change) => Promise<void>;

/**
 * Makes again what is shared and gone, of the whole plan or of what `step` stands on.
 *
 * @throws OperationError
 */
export async function lookAgain(application: Application, remake: Remake, step?: Step): Promise<void> {
  const { context, plan, sharedRuns } = application;
  const fresh = { ...application, context: { ...context, view: createKernelView(context.host) } };
  const foundations = step === undefined ? undefined : predecessors(step);
  const mend = async (one: Step): Promise<void> => {
    const probe = await opOf(one).probe(fresh.context, one);
    if (probe.state === 'present') return;
    const isThere = probe.state === 'drifted' && opOf(one).update !== undefined;
    const reason = 'it was taken away meanwhile';
    const action = isThere ? 'update' : 'create';
    await remake(fresh, { container: plan.name, action, step: one, reason });
    fresh.context.view.forget();
  };
  for (const one of plan.steps) {
    const isMeant = foundations === undefined ? LASTING.has(one.op) : foundations.includes(one.id);
    if (one.shared !== true || !isMeant) continue;
    // One after the other with the other containers of the call.
    const running = Promise.allSettled([sharedRuns.get(one.id)])
      .then(() => mend(one))
      .catch((cause: unknown) => Promise.reject(asFailure(context, one, cause)));
    sharedRuns.set(one.id, running);
    await running;
  }
}

const STANDING: ReadonlySet<OpKind> = new Set(['netns', 'nft-element', 'veth']);

/** ip and nft say so of a bridge, a table or /run/netns that is not there any more; the kernel of the number of a bridge. */
const GONE = /Device does not exist|Cannot find device|No such (?:device|file or directory)|Invalid argument/;

/** Does what a step does; where something has gone that it stands on, once more with that. `remake` is absent on the way. */
export async function onFoundations(
  application: Application,
  step: Step,
  remake: Remake | undefined,
  work: (context: OpContext) => Promise<void>,
): Promise<void> {
  const { context } = application;
  if (remake === undefined || !STANDING.has(step.op)) return work(context);
  // `ip netns add` makes its folder too, and nobody would know that it was ours.
  if (step.op === 'netns') await lookAgain(application, remake, step);
  try {
    await work(context);
  } catch (cause) {
    if (!(cause instanceof OperationError) || !GONE.test(cause.command?.stderr ?? '')) throw cause;
    await lookAgain(application, remake, step);
    await work({ ...context, view: createKernelView(context.host) });
  }
}

// A second look at the shared things of a container while it is made. A `down` in another data folder, which has
// another lock, may remove them as long as it sees no user. docs/network.md, "Two data folders", has all of it.
import { OperationError } from '../errors.ts';
import { createKernelView, type KernelView } from '../host/kernel-view.ts';
import type { OpContext } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { OpKind, Step } from '../plan/plan.ts';
import { predecessors } from '../plan/step-base.ts';
import { type Application, takeTurn } from './application.ts';
import type { Change } from './changes.ts';
import { asFailure } from './revert.ts';

/**
 * Kinds of shared steps that are made again. Folders bound on themselves are not: bound once more they would hide what
 * is mounted below them by now.
 */
const LASTING: ReadonlySet<OpKind> = new Set([
  'bridge',
  'controller',
  'docker-user',
  'nft-element',
  'nft-table',
  'sysctl',
]);

/** Performs and journals a change, with the view of the application that it is given. */
export type Remake = (application: Application, change: Change) => Promise<void>;

/** Makes again the shared things of the whole plan that are gone. */
export function lookAgain(application: Application, remake: Remake): Promise<void> {
  const shared = application.plan.steps.filter((one) => one.shared === true && LASTING.has(one.op));
  return application.looks((view) => mendAll(application, remake, shared, view));
}

/** Makes again the shared things that `step` stands on, if they are gone. */
async function mendFoundations(application: Application, remake: Remake, step: Step): Promise<void> {
  const { context, plan } = application;
  const foundations = predecessors(step);
  const shared = plan.steps.filter((one) => one.shared === true && foundations.includes(one.id));
  await mendAll(application, remake, shared, createKernelView(context.host));
}

async function mendAll(
  application: Application,
  remake: Remake,
  steps: readonly Step[],
  view: KernelView,
): Promise<void> {
  const { context, plan, sharedRuns } = application;
  const fresh = { ...application, context: { ...context, view } };
  const mend = async (one: Step): Promise<void> => {
    const probe = await opOf(one).probe(fresh.context, one);
    if (probe.state === 'present') return;
    const isThere = probe.state === 'drifted' && opOf(one).update !== undefined;
    const reason = 'it was taken away meanwhile';
    const action = isThere ? 'update' : 'create';
    await remake(fresh, { container: plan.name, action, step: one, reason });
    view.forget();
  };
  for (const one of steps)
    await takeTurn(sharedRuns, one.id, () =>
      mend(one).catch((cause: unknown) => Promise.reject(asFailure(context, one, cause))),
    );
}

const STANDING: ReadonlySet<OpKind> = new Set(['netns', 'nft-element', 'veth']);

/**
 * Messages of ip and nft about a bridge, a table or /run/netns that is gone. `Invalid argument` is the kernel's word
 * for the index of a bridge that is gone.
 */
const GONE = /Device does not exist|Cannot find device|No such (?:device|file or directory)|Invalid argument/;

/**
 * Does a step's work; when something that it stands on turns out to be gone, makes that again and repeats the work.
 * `remake` is absent while a step is itself made again.
 */
export async function onFoundations(
  application: Application,
  step: Step,
  remake: Remake | undefined,
  work: (context: OpContext) => Promise<void>,
): Promise<void> {
  const { context } = application;
  if (remake === undefined || !STANDING.has(step.op)) return work(context);
  // `ip netns add` would make /run/netns too if it is gone, and no record would tell that it is runspec's.
  if (step.op === 'netns') await mendFoundations(application, remake, step);
  try {
    await work(context);
  } catch (cause) {
    if (!(cause instanceof OperationError) || !GONE.test(cause.command?.stderr ?? '')) throw cause;
    await mendFoundations(application, remake, step);
    await work({ ...context, view: createKernelView(context.host) });
  }
}

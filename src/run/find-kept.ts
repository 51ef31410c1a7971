// What a container gives up and what stays on the host all the same: a plan must not call it deleted.
import type { Plan, Step } from '../plan/plan.ts';
import type { Change } from './changes.ts';
import type { SharedState } from './shared.ts';

/**
 * Why a change to `delete` leaves its object alone, for people; changes that delete are not in it.
 * @param plans of all containers of the call, with their changes in the same order.
 */
export async function findKept(
  shared: Pick<SharedState, 'before' | 'users'>,
  plans: readonly Plan[],
  changes: readonly (readonly Change[])[],
): Promise<ReadonlyMap<Change, string>> {
  const kept = new Map<Change, string>();
  const names = new Set(plans.map(({ name }) => name));
  const usersOf = async (id: string): Promise<readonly string[]> => {
    const staying = plans.filter(({ steps }) => steps.some((step) => step.id === id));
    const others = (await shared.users(id)).filter((name) => !names.has(name));
    return [...staying.map(({ name }) => name), ...others];
  };
  for (const change of changes.flat()) {
    if (change.action !== 'delete') continue;
    const why = whyAlways(change.step) ?? (await whyShared(shared, change.step, usersOf));
    if (why !== undefined) kept.set(change, why);
  }
  // A folder stays with what it holds.
  const places = [...kept.keys()].flatMap(({ step }) => (step.op === 'directory' ? [step.path] : []));
  for (const change of changes.flat()) {
    const { action, step } = change;
    if (action !== 'delete' || kept.has(change)) continue;
    if (step.op !== 'directory' || step.removal !== 'empty') continue;
    if (places.some((place) => place.startsWith(`${step.path}/`)))
      kept.set(change, 'kept with what it holds');
  }
  return kept;
}

function whyAlways(step: Step): string | undefined {
  if (step.op === 'layer') return 'kept in the store until image gc';
  return step.op === 'directory' && step.removal === 'volume' ? 'kept until down --volumes' : undefined;
}

async function whyShared(
  shared: Pick<SharedState, 'before'>,
  { id, shared: isShared }: Step,
  usersOf: (id: string) => Promise<readonly string[]>,
): Promise<string | undefined> {
  if (isShared !== true) return undefined;
  const users = await usersOf(id);
  if (users.length > 0) return `kept, used by ${users.slice(0, 3).join(', ')}`;
  // By the op's own word for it: a bridge existed, a folder was mounted, a controller enabled.
  const before = shared.before(id) ?? {};
  const wasThere = ['existed', 'mounted', 'enabled'].some((word) => before[word] === true);
  return wasThere ? 'kept, as it was there before' : undefined;
}

// Objects that a container gives up and that still stay on the host: a plan must not call them deleted.
import type { KernelView } from '../host/kernel-view.ts';
import { opOf } from '../ops/index.ts';
import type { Plan, Step } from '../plan/plan.ts';
import type { Change } from './changes.ts';
import { whyUsedElsewhere } from './revert.ts';
import { opContext, type Session } from './session.ts';

/**
 * Why a change to `delete` leaves its object alone, for people; changes that delete are not in it.
 * @param plans of all containers of the call, with their changes in the same order.
 * @param lent addresses that bridges of others have only while containers are on them: no sign of another user.
 */
export async function findKept(
  session: Session,
  plans: readonly Plan[],
  changes: readonly (readonly Change[])[],
  lent: readonly string[] = [],
): Promise<ReadonlyMap<Change, string>> {
  const kept = new Map<Change, string>();
  const { shared } = session;
  const view = withoutAddresses(session.view, new Set(lent));
  const names = new Set(plans.map(({ name }) => name));
  const usersOf = async (id: string): Promise<readonly string[]> => {
    const staying = plans.filter(({ steps }) => steps.some((step) => step.id === id));
    const others = (await shared.users(id)).filter((name) => !names.has(name));
    return [...staying.map(({ name }) => name), ...others];
  };
  for (const change of changes.flat()) {
    if (change.action !== 'delete') continue;
    const why = whyAlways(change.step) ?? (await whyShared({ ...session, view }, change, usersOf));
    if (why !== undefined) kept.set(change, why);
  }
  // A folder that is removed only when empty stays with a kept folder in it.
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
  session: Session,
  { container, step }: Change,
  usersOf: (id: string) => Promise<readonly string[]>,
): Promise<string | undefined> {
  if (step.shared !== true) return undefined;
  const users = await usersOf(step.id);
  if (users.length > 0) return `kept, used by ${users.slice(0, 3).join(', ')}`;
  // By the op's own word for it: a bridge existed, a folder was mounted, a controller enabled.
  const before = session.shared.before(step.id) ?? {};
  const wasThere =
    ['existed', 'mounted', 'enabled'].some((word) => before[word] === true) ||
    (step.op === 'sysctl' && before['value'] === step.value);
  if (wasThere) return 'kept, as it was there before';
  const context = opContext(session, container, () => undefined);
  const why = (await whyUsedElsewhere(context, step)) ?? (await opOf(step).whyKept?.(context, step, before));
  return why === undefined ? undefined : `kept, ${why}`;
}

function withoutAddresses(view: KernelView, lent: ReadonlySet<string>): KernelView {
  return {
    ...view,
    links: async () =>
      (await view.links()).map((link) => ({
        ...link,
        addresses: link.addresses.filter((one) => !lent.has(`${one.address}/${one.prefix}`)),
      })),
  };
}

// The IPv6 address of a bridge is shared by those of its containers that have IPv6: it comes with the first of them and
// goes with the last. A record tells of the bridge as it was when that was written.
import type { BridgeStep, Lease, Step } from '../plan/plan.ts';
import type { SharedState } from './shared.ts';

/** The steps of a record as they are to be by now: others with IPv6 may have come to its bridge since, or left it. */
export function asOfNow(steps: readonly Step[], others: readonly Lease[]): readonly Step[] {
  const hasOwn = steps.some((step) => step.op === 'address' && step.address6 !== undefined);
  return steps.map((step) => {
    if (step.op !== 'bridge' || (hasOwn && step.address6 !== undefined)) return step;
    const { address6, ...bare } = step;
    const needed = findAddress6(step, others);
    return needed === undefined ? bare : { ...bare, address6: address6 ?? needed };
  });
}

/** The same, by the other users that the records tell of. */
export async function readAsOfNow(
  shared: Pick<SharedState, 'leases'>,
  container: string,
  steps: readonly Step[],
): Promise<readonly Step[]> {
  const bridges = steps.filter(({ op }) => op === 'bridge');
  const users = await Promise.all(bridges.map(({ id }) => shared.leases(id)));
  const others = users.flatMap((found) => [...found].filter(([name]) => name !== container));
  return asOfNow(
    steps,
    others.flatMap(([, leases]) => leases),
  );
}

/** The bridge without what none of those needs who stay on it; undefined when they need all of it. */
export function withoutUnneeded(step: Step, staying: readonly Lease[]): BridgeStep | undefined {
  if (step.op !== 'bridge' || step.address6 === undefined) return undefined;
  const { address6: _, ...bare } = step;
  return findAddress6(step, staying) === undefined ? bare : undefined;
}

function findAddress6({ name }: BridgeStep, leases: readonly Lease[]): string | undefined {
  for (const { link, gateway6, subnet6 } of leases)
    if (link === name && gateway6 !== undefined && subnet6 !== undefined)
      return `${gateway6}/${subnet6.split('/')[1] ?? '64'}`;
  return undefined;
}

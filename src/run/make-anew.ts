// The changes of a container that no record tells of, though things of it are on the host: they go before it is made. Pure.
import type { Step } from '../plan/plan.ts';
import type { Change } from './changes.ts';

/** @param remains in an order that satisfies their edges. */
export function makeAnew(
  container: string,
  changes: readonly Change[],
  remains: readonly Step[] = [],
): readonly Change[] {
  if (remains.length === 0) return changes;
  const deletions = remains.map((step): Change => ({
    container,
    action: 'delete',
    step,
    reason: 'no record tells of it',
  }));
  const creations = changes.map((change): Change =>
    outlives(change.step) || change.action === 'delete'
      ? change
      : { container, action: 'create', step: change.step, wasAbsent: true },
  );
  return [...deletions.toReversed(), ...creations];
}

/** What others use too, and data that is kept. */
function outlives(step: Step): boolean {
  return step.shared === true || (step.op === 'directory' && step.removal === 'volume');
}

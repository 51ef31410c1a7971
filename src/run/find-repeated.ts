// Shared steps that several containers of a call would change: they are done once, and `plan` shows them once.
import type { Change } from './changes.ts';

/**
 * Why a change of a shared step has nothing left to do, for people: an earlier container of the call makes the same.
 * @param changes of each container, in the order of the plans.
 * @param kept changes that do nothing anyway.
 */
export function findRepeated(
  changes: readonly (readonly Change[])[],
  kept: ReadonlyMap<Change, string>,
): ReadonlyMap<Change, string> {
  const first = new Map<string, Change>();
  const repeated = new Map<Change, string>();
  for (const change of changes.flat()) {
    const { step, action } = change;
    if (step.shared !== true || action === 'none' || kept.has(change)) continue;
    const earlier = first.get(step.id);
    if (earlier === undefined) first.set(step.id, change);
    else repeated.set(change, `shared with ${earlier.container}, done once`);
  }
  return repeated;
}

// Runs work over steps in the order of their edges, as parallel as the edges allow, in either direction.
import type { Step } from '../plan/plan.ts';
import { predecessors } from '../plan/step-base.ts';

/** Resolves once the steps that a step awaits are through, to whether it may go on. */
export type Reached = () => Promise<boolean>;

/**
 * Calls `work` for each step when those it needs or comes after (forward), or those that need, come after or
 * await it (backward), are through. `stop` is asked before each step and by `reached`: once it says true, none
 * is begun. `work` must not reject.
 */
export async function walk(
  steps: readonly Step[],
  direction: 'forward' | 'backward',
  work: (step: Step, reached: Reached) => Promise<void>,
  stop: () => boolean = () => false,
): Promise<void> {
  const ordered = direction === 'forward' ? steps : steps.toReversed();
  const byId = new Map<string, Step[]>();
  for (const step of steps) byId.set(step.id, [...(byId.get(step.id) ?? []), step]);
  const before = new Map<Step, Step[]>(steps.map((step) => [step, []]));
  for (const step of steps) {
    const ids = direction === 'forward' ? [...step.needs, ...step.after] : predecessors(step);
    for (const other of ids.flatMap((id) => byId.get(id) ?? [])) {
      if (direction === 'forward') before.get(step)?.push(other);
      else before.get(other)?.push(step);
    }
  }
  // Two versions of one step are about the same object: one after the other.
  for (const same of byId.values()) {
    const inOrder = direction === 'forward' ? same : same.toReversed();
    inOrder.forEach((step, index) => {
      const earlier = inOrder[index - 1];
      if (earlier !== undefined) before.get(step)?.push(earlier);
    });
  }
  const through = new Map<Step, Promise<void>>();
  const start = (step: Step): Promise<void> => {
    const known = through.get(step);
    if (known !== undefined) return known;
    const reached: Reached = async () => {
      await Promise.all((step.awaits ?? []).flatMap((id) => byId.get(id) ?? []).map(start));
      return !stop();
    };
    const promise = Promise.all((before.get(step) ?? []).map(start)).then(async () => {
      if (!stop()) await work(step, reached);
    });
    through.set(step, promise);
    return promise;
  };
  await Promise.all(ordered.map(start));
}

// Runs work over steps in the order of their edges, as parallel as the edges allow, in either direction.
import type { Step } from '../plan/plan.ts';
import type { Phase } from '../plan/step-base.ts';
import { orderOf, type Direction } from './order.ts';
import { createTurns } from './turns.ts';

/** Resolves once the steps that a step awaits before a phase are through, to whether it may go on. */
export type Reached = (phase: Phase) => Promise<boolean>;

/**
 * Calls `work` for each step in the order of the edges. Forward, a step begins when those that it needs or comes after
 * are through, except those it awaits; backward, when those that need it, come after it or await it are through.
 * Forward, a step that only the start of a process awaits begins when the process asks for it, or is through: creating
 * the process takes longest, and starting programs keeps runspec itself busy.
 * @param work must not reject.
 * @param stop is asked before each step and by `reached`; once it returns true, no further step begins.
 */
export async function walk(
  steps: readonly Step[],
  direction: Direction,
  work: (step: Step, reached: Reached) => Promise<void>,
  stop: () => boolean = () => false,
): Promise<void> {
  const { before, partners, awaited, waiting, late } = orderOf(steps, direction);
  const turn = createTurns(waiting);
  const known = new Map<Step, Progress>();
  const go = async (step: Step, tellBegun: () => void): Promise<void> => {
    await Promise.all(before(step).map((other) => begin(other).through));
    await Promise.all(partners(step).map((other) => begin(other).begun));
    // A step with partners takes no turn of its own: it begins with them, in time for the change that they share.
    if (partners(step).length === 0) await turn(step);
    const reached: Reached = async (phase) => {
      await Promise.all(awaited(step, phase).map((other) => begin(other).through));
      return !stop();
    };
    const working = stop() ? undefined : work(step, reached);
    tellBegun();
    await working;
    awaited(step, 'start').forEach(begin);
  };
  const begin = (step: Step): Progress => {
    const earlier = known.get(step);
    if (earlier !== undefined) return earlier;
    let tellBegun = (): void => undefined;
    const begun = new Promise<void>((resolve) => (tellBegun = resolve));
    const progress = { begun, through: Promise.resolve().then(() => go(step, tellBegun)) };
    known.set(step, progress);
    awaited(step, 'create').forEach(begin);
    return progress;
  };
  const inOrder = direction === 'forward' ? steps : steps.toReversed();
  // Beginning a step begins those ahead of it, late or not.
  await Promise.all(inOrder.filter((step) => !late.has(step)).map((step) => begin(step).through));
  await Promise.all(inOrder.map((step) => begin(step).through));
}

interface Progress {
  readonly begun: Promise<void>;
  readonly through: Promise<void>;
}

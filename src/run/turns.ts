// Which of the steps that are ready goes next: the one with the longest way from it to the end of the walk. Each
// begins in a round of its own of the event loop, which in between hears of the programs that have ended.
import type { Step } from '../plan/plan.ts';

/** Resolves when it is the step's turn. Steps of one kind that are ready together go together: nft takes them as one. */
export type Turns = (step: Step) => Promise<void>;

/** @param after the steps that wait for a step. */
export function createTurns(after: (step: Step) => readonly Step[]): Turns {
  const heights = new Map<Step, number>();
  const height = (step: Step): number => {
    const known = heights.get(step);
    if (known !== undefined) return known;
    const found = 1 + Math.max(0, ...after(step).map(height));
    heights.set(step, found);
    return found;
  };
  let ready: { readonly step: Step; go(): void }[] = [];
  const next = (): void => {
    const first = ready.reduce((one, other) => (height(other.step) > height(one.step) ? other : one));
    const together = ready.filter(({ step }) => step.op === first.step.op);
    ready = ready.filter((one) => !together.includes(one));
    for (const { go } of together) go();
    if (ready.length > 0) setImmediate(next);
  };
  return (step) =>
    new Promise((go) => {
      ready.push({ step, go });
      if (ready.length === 1) setImmediate(next);
    });
}

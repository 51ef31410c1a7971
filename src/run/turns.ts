// The turns of steps that are ready: next is the one with the longest way from it to the end of the walk, and with it
// those of its kind. Each kind begins in a round of the event loop of its own, which in between hears of programs that
// have ended.
import type { OpKind, Step } from '../plan/plan.ts';
import type { Phase } from '../plan/step-base.ts';

/** Milliseconds that a kind of step takes, where that is more than 1. Only their relation to each other matters. */
const TAKES: Partial<Record<OpKind, number>> = {
  layer: 1000,
  'private-mount': 4,
  mountpoints: 4,
  overlay: 5,
  bundle: 5,
  netns: 10,
  bridge: 5,
  'nft-table': 15,
  'docker-user': 15,
  veth: 5,
  address: 5,
};

/**
 * Milliseconds of a process: until its monitor is in its cgroup, then until it is created, then until it is started.
 */
const MONITORED = 20;
const CREATED = 30;
const STARTED = 10;
const FROM: Readonly<Record<Phase, number>> = { create: CREATED + STARTED, start: STARTED };

/** A step that waits for another one: before all of its work, or before a phase of it. */
export interface Waiting {
  readonly step: Step;
  readonly before: Phase | 'begin';
}

/** Resolves at the step's turn. Steps of one kind that are ready together go together: nft takes them as one. */
export type Turns = (step: Step) => Promise<void>;

/** @param waitingFor the steps that wait for a given one. */
export function createTurns(waitingFor: (step: Step) => readonly Waiting[]): Turns {
  const ways = new Map<Step, number>();
  /** Milliseconds from the begin of a step to the end of all that waits for it. */
  const way = (step: Step): number => {
    const known = ways.get(step);
    if (known !== undefined) return known;
    const takes = step.awaits === undefined ? (TAKES[step.op] ?? 1) : MONITORED + FROM.create;
    const rest = waitingFor(step).map((one) => (one.before === 'begin' ? way(one.step) : FROM[one.before]));
    const found = takes + Math.max(0, ...rest);
    ways.set(step, found);
    return found;
  };
  let ready: { readonly step: Step; go(): void }[] = [];
  const next = (): void => {
    const first = ready.reduce((one, other) => (way(other.step) > way(one.step) ? other : one));
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

// The order of steps, in either direction, as their edges tell it. Pure.
import type { Step } from '../plan/plan.ts';
import { forerunners, PHASES, predecessors, type Phase } from '../plan/step-base.ts';
import type { Waiting } from './turns.ts';

export type Direction = 'forward' | 'backward';

/** The order of a walk, asked step by step. */
export interface Order {
  /** Steps that are through before this one begins. */
  before(step: Step): readonly Step[];
  /** Steps that have begun before this one begins. */
  partners(step: Step): readonly Step[];
  /** Steps that are through before this phase of the step's work. */
  awaited(step: Step, phase: Phase): readonly Step[];
  /** Steps that wait for this one, and the part of its work with which each of them waits. */
  waiting(step: Step): readonly Waiting[];
  /** Steps that may begin only when the start of a process asks for them: those it awaits, and all ahead of these. */
  readonly late: ReadonlySet<Step>;
}

/** Backward there are no partners and nothing is awaited: all that stands on a step is through before it begins. */
export function orderOf(steps: readonly Step[], direction: Direction): Order {
  const byId = groupBy(steps, ({ id }) => id);
  const named = (ids: readonly string[] = []): readonly Step[] => ids.flatMap((id) => byId.get(id) ?? []);
  const edges = steps.flatMap((step): readonly Edge[] =>
    direction === 'forward'
      ? named(forerunners(step)).map((first) => ({ first, later: step }))
      : named(predecessors(step)).map((later) => ({ first: step, later })),
  );
  const versions = [...byId.values()].flatMap((same) => inTurn(same, direction));
  const before = groupBy([...edges, ...versions], ({ later }) => later);
  const order = {
    before: (step: Step) => (before.get(step) ?? []).map(({ first }) => first),
    partners: (step: Step) => (direction === 'forward' ? named(step.with) : []),
    awaited: (step: Step, phase: Phase) => (direction === 'forward' ? named(step.awaits?.[phase]) : []),
  };
  const ahead = (step: Step): readonly Step[] => [...order.before(step), ...order.partners(step)];
  const waits = steps.flatMap((step) => [
    ...ahead(step).map((first) => ({ first, waiting: { step, before: 'begin' as const } })),
    ...PHASES.flatMap((phase) =>
      order.awaited(step, phase).map((first) => ({ first, waiting: { step, before: phase } })),
    ),
  ]);
  const waiting = groupBy(waits, ({ first }) => first);
  return {
    ...order,
    waiting: (step) => (waiting.get(step) ?? []).map((one) => one.waiting),
    late: withAncestors(
      steps.flatMap((step) => order.awaited(step, 'start')),
      ahead,
    ),
  };
}

interface Edge {
  readonly first: Step;
  readonly later: Step;
}

/** Edges between the versions of a step, which run one after the other because they are about the same object. */
function inTurn(same: readonly Step[], direction: Direction): readonly Edge[] {
  const inOrder = direction === 'forward' ? same : same.toReversed();
  return inOrder.slice(1).flatMap((later, index) => {
    const first = inOrder[index];
    return first === undefined ? [] : [{ first, later }];
  });
}

/** Like Map.groupBy, which Node 20 does not have. */
function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

function withAncestors(steps: readonly Step[], ahead: (step: Step) => readonly Step[]): ReadonlySet<Step> {
  const found = new Set<Step>();
  const visit = (step: Step): void => {
    if (found.has(step)) return;
    found.add(step);
    ahead(step).forEach(visit);
  };
  steps.forEach(visit);
  return found;
}

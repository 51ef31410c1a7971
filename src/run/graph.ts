// Runs work over steps in the order of their edges, as parallel as the edges allow, in either direction.
import type { Step } from '../plan/plan.ts';
import { forerunners, predecessors, type Phase } from '../plan/step-base.ts';
import { createTurns, type Waiting } from './turns.ts';

/** Resolves once the steps that a step awaits before a phase are through, to whether it may go on. */
export type Reached = (phase: Phase) => Promise<boolean>;

/**
 * Calls `work` for each step when those it needs or comes after and does not await (forward), or those that need,
 * come after or await it (backward), are through. Forward, what only the start of a process awaits begins when
 * that asks for it or is through: creating it takes longest, and starting programs keeps this process busy.
 * `stop` is asked before each step and by `reached`: once it says true, none is begun. `work` must not reject.
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
    const ids = direction === 'forward' ? forerunners(step) : predecessors(step);
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
  const others = (ids: readonly string[] = []): readonly Step[] =>
    direction === 'forward' ? ids.flatMap((id) => byId.get(id) ?? []) : [];
  const ahead = (step: Step): readonly Step[] => [...(before.get(step) ?? []), ...others(step.with)];
  const waiting = new Map<Step, Waiting[]>(steps.map((step) => [step, []]));
  for (const step of steps) {
    for (const other of ahead(step)) waiting.get(other)?.push({ step, before: 'begin' });
    for (const phase of ['create', 'start'] as const)
      for (const other of others(step.awaits?.[phase])) waiting.get(other)?.push({ step, before: phase });
  }
  const turn = createTurns((step) => waiting.get(step) ?? []);
  const known = new Map<Step, Progress>();
  const go = async (step: Step, tellBegun: () => void): Promise<void> => {
    await Promise.all((before.get(step) ?? []).map((other) => begin(other).through));
    const partners = others(step.with);
    await Promise.all(partners.map((other) => begin(other).begun));
    // In the turn of those it shares a change with, so that it is in time for it.
    if (partners.length === 0) await turn(step);
    const reached: Reached = async (phase) => {
      await Promise.all(others(step.awaits?.[phase]).map((other) => begin(other).through));
      return !stop();
    };
    const working = stop() ? undefined : work(step, reached);
    tellBegun();
    await working;
    others(step.awaits?.start).forEach(begin);
  };
  const begin = (step: Step): Progress => {
    const earlier = known.get(step);
    if (earlier !== undefined) return earlier;
    let tellBegun = (): void => undefined;
    const begun = new Promise<void>((resolve) => (tellBegun = resolve));
    const progress = { begun, through: Promise.resolve().then(() => go(step, tellBegun)) };
    known.set(step, progress);
    others(step.awaits?.create).forEach(begin);
    return progress;
  };
  const isLater = withAncestors(
    steps.flatMap((step) => others(step.awaits?.start)),
    ahead,
  );
  // Beginning one begins those ahead of it, be they among the later or not.
  await Promise.all(ordered.filter((step) => !isLater.has(step)).map((step) => begin(step).through));
  await Promise.all(ordered.map((step) => begin(step).through));
}

interface Progress {
  readonly begun: Promise<void>;
  readonly through: Promise<void>;
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

// Compares a plan with what was applied and with the kernel, and decides step by step what to do.
// Reads only; both `plan` and `apply` go by it.
import type { OpContext, Probe } from '../ops/op.ts';
import { opOf } from '../ops/index.ts';
import type { Plan, Step } from '../plan/plan.ts';
import { differingProperties } from './differences.ts';
import { makeAnew } from './make-anew.ts';

export type Action = 'create' | 'update' | 'replace' | 'delete' | 'none';

export interface Change {
  readonly container: string;
  readonly action: Action;
  readonly step: Step;
  /** The applied version of the step, when there is one. */
  readonly former?: Step;
  /** For people: what differs, or which replaced step this one follows. */
  readonly reason?: string;
  /** The probe found nothing in the step's place. */
  readonly wasAbsent?: true;
  /** Types of namespaces that the process has to leave, as in Probe. */
  readonly leaves?: readonly string[];
}

/** A container's plan, and the steps that may have left something on the host. */
export interface Planned {
  readonly context: OpContext;
  readonly plan: Plan;
  /** Steps of the applied plan and of a plan that a kill cut short. */
  readonly formerSteps: readonly Step[];
  /** What is on the host of it that no record tells of, and goes first. */
  readonly remains?: readonly Step[];
}

/** Changes of each container, in the order of `all`: one that joins a namespace is made anew with it. */
export async function computeAllChanges(all: readonly Planned[]): Promise<readonly (readonly Change[])[]> {
  const begun = new Map<string, Promise<readonly Change[]>>();
  const known = new Map<string, readonly Change[]>();
  const compute = (one: Planned, waiting: readonly string[]): Promise<readonly Change[]> => {
    const { name, steps } = one.plan;
    const earlier = begun.get(name);
    if (earlier !== undefined) return earlier;
    const joins = steps.flatMap((step) => (step.op === 'bundle' ? step.join : []));
    const joined = new Set(joins.map(({ container }) => container));
    const others = all.filter(({ plan }) => joined.has(plan.name) && !waiting.includes(plan.name));
    const found = Promise.all(others.map((other) => compute(other, [...waiting, name])))
      .then(() => computeChanges(one.context, one.plan, one.formerSteps, known))
      .then((found) => {
        const changes = makeAnew(name, found, one.remains);
        known.set(name, changes);
        return changes;
      });
    begun.set(name, found);
    return found;
  };
  return Promise.all(all.map((one) => compute(one, [])));
}

type Others = ReadonlyMap<string, readonly Change[]>;

/** Why a bundle cannot stay as it is: a namespace that its process is in will go. */
function whyStale(step: Step, others: Others): string | undefined {
  if (step.op !== 'bundle') return undefined;
  const lost = step.join.find(({ type, container }) => isMadeAnew(type, container, others, []));
  return lost && `the ${lost.type} namespace of ${lost.container} is made anew`;
}

/** Whether the namespace of this type in which `container` is, its own or a joined one, will be made anew. */
function isMadeAnew(type: string, container: string, others: Others, seen: readonly string[]): boolean {
  const changes = others.get(container) ?? [];
  const bundle = changes.find(({ step }) => step.op === 'bundle');
  const joined = joinedBy(bundle?.step, type);
  // Its process moves from one namespace of this type to another.
  if (bundle?.leaves?.includes(type) === true) return true;
  if (bundle?.former !== undefined && joinedBy(bundle.former, type) !== joined) return true;
  if (joined !== undefined)
    return !seen.includes(container) && isMadeAnew(type, joined, others, [...seen, container]);
  // A network namespace is the netns step's, and outlives the process; other types end with the process.
  const maker = type === 'network' ? 'netns' : 'process';
  // `create` counts too: the namespace has gone from the host, and the new one is another.
  return changes.some(
    ({ step, action }) => step.op === maker && (action === 'replace' || action === 'create'),
  );
}

function joinedBy(step: Step | undefined, type: string): string | undefined {
  return step?.op === 'bundle' ? step.join.find((one) => one.type === type)?.container : undefined;
}

/** A bundle names joined namespaces by pids, which may be stale at the next start. A running process needs none. */
function whyUnusable(step: Step, starts: boolean): string | undefined {
  const isUnusable = starts && step.op === 'bundle' && step.join.length > 0;
  return isUnusable ? 'the process that it was made for has ended' : undefined;
}

/** A step whose former foundation is dropped has to be removed before it, such as a port before its bridge. */
function whyUprooted({ step, former }: Change, kept: ReadonlySet<string>): string | undefined {
  if (former === undefined || step.shared === true) return undefined;
  // A veth has its bridge in `after` only, because it outlives a bridge that is made anew.
  const foundations = former.op === 'veth' ? [...former.needs, ...former.after] : former.needs;
  const gone = foundations.find((id) => !kept.has(id));
  return gone && `${gone} goes`;
}

/**
 * @param others changes of the containers whose namespaces this one joins, directly or through others.
 * @returns changes in the order of the plan, after the deletions in the reverse order of the former steps.
 */
export async function computeChanges(
  context: OpContext,
  plan: Plan,
  formerSteps: readonly Step[],
  others: Others = new Map(),
): Promise<readonly Change[]> {
  const wanted = new Map(plan.steps.map((step) => [step.id, step]));
  const dropped = formerSteps.filter((step) => isDroppedFor(step, wanted.get(step.id)));
  const former = new Map(
    formerSteps.filter((step) => !dropped.includes(step)).map((step) => [step.id, step]),
  );
  const probes = await Promise.all(plan.steps.map((step) => opOf(step).probe(context, step)));
  const first = settle(plan, former, probes, others);
  const ending = new Set(first.filter(({ action }) => action === 'replace').map(({ step }) => step.id));
  // A veth with a new name inside has a new id but the same host link, which is removed with the former step.
  const goesWithFormer = (step: Step): boolean =>
    step.op === 'veth' && dropped.some((other) => other.op === 'veth' && other.link === step.link);
  const isEnding = (probe: Probe, index: number): boolean =>
    probe.state === 'drifted' &&
    (ending.has(probe.heldBy ?? '') || goesWithFormer(plan.steps[index] as Step));
  const lost = probes.map((probe, index): Probe => (isEnding(probe, index) ? { state: 'absent' } : probe));
  const changes = probes.some(isEnding) ? settle(plan, former, lost, others) : first;
  const deletions = dropped.map((step): Change => ({
    container: plan.name,
    action: 'delete',
    step,
    former: step,
    reason: 'no longer in the spec',
  }));
  return [...deletions.toReversed(), ...changes].map(tellLoss);
}

/**
 * Whether the former step is dropped: it has no successor, or is a persistent layer, which is not moved to another
 * path.
 */
function isDroppedFor(former: Step, step: Step | undefined): boolean {
  if (step === undefined) return true;
  if (former.op !== 'directory' || step.op !== 'directory' || former.shared === true) return false;
  return former.removal === 'volume' && former.path !== step.path;
}

/** The changes of the plan's own steps, in the order of the plan. */
function settle(
  plan: Plan,
  former: ReadonlyMap<string, Step>,
  probes: readonly Probe[],
  others: Others,
): readonly Change[] {
  const kept = new Set(plan.steps.map((step) => step.id));
  const replaced = new Map<string, string>();
  const changes: Change[] = [];
  const starts = plan.steps.some(
    (step, index) => step.op === 'process' && probes[index]?.state === 'absent' && former.has(step.id),
  );
  plan.steps.forEach((step, index) => {
    const own = decide(plan.name, step, former.get(step.id), probes[index] as Probe);
    const stale =
      own.action === 'create'
        ? undefined
        : (whyStale(step, others) ?? whyUnusable(step, starts) ?? whyUprooted(own, kept));
    const change: Change = stale === undefined ? own : { ...own, action: 'replace', reason: stale };
    const cause = step.needs.find((id) => replaced.has(id));
    const followed = cause === undefined ? change : follow(change, replaced.get(cause) ?? '');
    // Steps further down are given the first cause, not only the step right before them.
    if (followed === change) replaced.set(step.id, whyAnew(change));
    else replaced.set(step.id, followed.reason ?? '');
    const isMade = followed.action === 'create' || followed.action === 'replace';
    if (!isMade || opOf(step).isOutlived === true) replaced.delete(step.id);
    changes.push(followed);
  });
  return changes;
}

/** Says in the reason when the writable layer is removed with all that the container has written. */
function tellLoss(change: Change): Change {
  const { action, former, reason } = change;
  const isWritten = former?.op === 'directory' && former.id === 'dir:upper' && former.removal === 'tree';
  if (!isWritten || (action !== 'replace' && action !== 'delete')) return change;
  return {
    ...change,
    reason: `${reason === undefined ? '' : `${reason}; `}what the container has written goes`,
  };
}

function decide(container: string, step: Step, former: Step | undefined, probe: Probe): Change {
  const change = (action: Action, reason?: string): Change => ({
    container,
    action,
    step,
    ...(former === undefined ? {} : { former }),
    ...(reason === undefined ? {} : { reason }),
    ...(probe.state === 'absent' ? { wasAbsent: true } : {}),
    ...(probe.state === 'drifted' && probe.leaves !== undefined ? { leaves: probe.leaves } : {}),
  });
  const op = opOf(step);
  switch (probe.state) {
    case 'absent': {
      if (former === undefined) return change('create');
      const moved = step.shared === true ? [] : differingProperties(former, step, op.passive ?? []);
      // The former object may be elsewhere, as with another --state-dir, and has to be removed there.
      return moved.length === 0
        ? change('create', probe.why ?? 'it is gone from the host')
        : change('replace', `changed in the spec: ${moved.join(', ')}`);
    }
    case 'drifted': {
      const reason = probe.differences
        .map((one) => `${one.property}: ${one.found} -> ${one.wanted}`)
        .join('; ');
      if (probe.inPlace && op.update !== undefined) return change('update', reason);
      const differing = former === undefined ? [] : differingProperties(former, step, op.passive ?? []);
      return change(
        'replace',
        differing.length === 0 ? reason : `changed in the spec: ${differing.join(', ')}`,
      );
    }
    case 'present': {
      const differing = former === undefined ? [] : differingProperties(former, step, op.passive ?? []);
      if (differing.length === 0) return change('none');
      // The new path may have a folder already; the former one, or its content for other layers, still has to go.
      const isMoved =
        step.op === 'directory' &&
        step.shared !== true &&
        (differing.includes('path') || differing.includes('layers'));
      return change(
        op.update === undefined || isMoved ? 'replace' : 'update',
        `changed in the spec: ${differing.join(', ')}`,
      );
    }
  }
}

function whyAnew({ step, reason }: Change): string {
  return reason === undefined ? `${step.id} is new` : `${step.id} is made anew (${reason})`;
}

/** A step whose foundation is made anew is replaced as well, unless nothing of it can be on the host. */
function follow(change: Change, reason: string): Change {
  const mayBeHalf = change.former !== undefined && opOf(change.step).halvesUnseen === true;
  if ((change.action === 'create' && !mayBeHalf) || change.step.shared === true) return change;
  return { ...change, action: 'replace', reason };
}

export function hasEffect(changes: readonly Change[]): boolean {
  return changes.some((change) => change.action !== 'none');
}

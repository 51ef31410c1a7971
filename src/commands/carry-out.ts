// Carrying out the changes of all containers of a call, and saying what became of each.
import { InterruptedError, OperationError, UndoneError } from '../errors.ts';
import { joinedBy } from '../load/joined.ts';
import type { LoadedSpec } from '../load/load.ts';
import { afterJoined } from '../plan/compile.ts';
import type { OpKind } from '../plan/plan.ts';
import {
  type Application,
  findNeededByOthers,
  findSharedUpdates,
  type SharedRuns,
} from '../run/application.ts';
import type { Change } from '../run/changes.ts';
import { createHandOvers } from '../run/hand-over.ts';
import { createLooks } from '../run/looks.ts';
import type { Reporter } from '../run/report.ts';
import { createSeedGathering, isSeeded } from '../run/seed-gathering.ts';
import { opContext, type Session } from '../run/session.ts';
import { createTransaction } from '../run/transaction.ts';
import type { CommandContext } from './context.ts';
import { joinFailures } from './join-failures.ts';
import { rememberSpec } from './known-specs.ts';
import type { LoadedSpecs } from './load-specs.ts';
import { placeFailure } from './place-failure.ts';
import type { Work } from './prepare.ts';
import { tellApplied } from './tell-applied.ts';

export interface ApplyOptions {
  readonly keepOnFailure: boolean;
  /** Keep a picture of the host from before, for `down --prove`. */
  readonly prove?: boolean;
  /** Accept only archives and images that runspec.lock names; all archives are checked before the first change. */
  readonly locked?: boolean;
  readonly leaveOut?: OpKind;
  /** For a container that must not be there yet; called right before the first change, with all of them. */
  readonly whenBegun?: (changes: readonly Change[]) => void;
}

/**
 * Side by side, but that a container that joins namespaces of another one of this call starts after it. All of them or
 * none, unless what fails is to be kept: then each stands for itself.
 *
 * @throws the failures of all containers as one error, when nothing is under way any more.
 */
export async function carryOutAll(
  context: CommandContext,
  session: Session,
  { specs: sources }: LoadedSpecs,
  works: readonly Work[],
  reporter: Reporter,
  { warn, ...options }: ApplyOptions & { readonly warn: () => Promise<void> },
): Promise<void> {
  const counted = countShared(reporter);
  const { report } = counted;
  const sharedRuns: SharedRuns = new Map();
  const sharedUpdates = findSharedUpdates(works.flatMap(({ changes }) => changes));
  const looks = createLooks(context.host);
  const running: Promise<void>[] = [];
  const names = afterJoined(sources.map(({ spec }) => spec)).map(({ name }) => name);
  const inOrder = works.toSorted(
    (one, other) => names.indexOf(one.plan.name) - names.indexOf(other.plan.name),
  );
  const loadedOf = ({ plan }: Work): LoadedSpec | undefined =>
    sources.find(({ spec }) => spec.name === plan.name);
  const joined = new Map(
    inOrder.map((work) => [
      work.plan.name,
      joinedContainers(loadedOf(work)).filter((name) => names.includes(name)),
    ]),
  );
  const joinedOf = ({ plan }: Work): readonly string[] => joined.get(plan.name) ?? [];
  const startsAtOnce = (work: Work): boolean => joinedOf(work).length === 0;
  const seeds = createSeedGathering(
    works
      .filter(startsAtOnce)
      .map(({ plan, changes }) => ({ container: plan.name, steps: volumesToMake(changes) })),
  );
  const handOvers = createHandOvers(works);
  const neededByOthers = findNeededByOthers(works);
  const letGoOf = (unbegun: readonly string[]): void => {
    // Shared things are not kept for them.
    for (const { plan, record } of works)
      if (unbegun.includes(plan.name)) session.shared.fallBack(plan.name, record);
  };
  const giveUpAll = (unbegun: readonly string[]): void => {
    letGoOf(unbegun);
    sharedUpdates.clear();
    names.forEach(seeds.leave);
  };
  const transaction = createTransaction(joined, options.keepOnFailure ? undefined : giveUpAll);
  const applications = new Map(
    inOrder.map((work): readonly [Work, Application] => {
      const { name } = work.plan;
      const progress = (text: string): void => report.progress(name, '', text);
      const application: Application = {
        ...work,
        ...options,
        context: { ...opContext(session, name, progress), together: names },
        records: session.records,
        shared: session.shared,
        bootId: session.bootId,
        report,
        sharedRuns,
        seeds,
        sharedUpdates,
        looks,
        neededByOthers,
        part: transaction.part(name),
        whenFailed: () => {
          const waiting = waitingFor(name, inOrder, joinedOf).map(({ plan }) => plan.name);
          if (options.keepOnFailure) letGoOf(waiting);
          for (const ids of sharedUpdates.values()) for (const one of [name, ...waiting]) ids.delete(one);
        },
        whileCreating: warn,
      };
      return [work, application];
    }),
  );
  if (works.length > 1 && !works.some(({ changes }) => changes.some(makesLayer)))
    context.host.stopOptimizing();
  await handOvers.giveUp(applications.values());
  for (const [work, application] of applications) {
    const { name } = work.plan;
    const made = joinedOf(work).map((other) =>
      transaction.untilMade(other).catch((cause: unknown) => Promise.reject(asUnjoined(name, other, cause))),
    );
    const run = Promise.allSettled(made).then(async () => {
      const started = context.host.monotonic();
      await handOvers.carryOn(application, Promise.all(made));
      if (work.understood !== undefined) await rememberSpec(context, work.understood, name);
      const changed = work.changes.filter((change) => counted.isOf(name, change)).length;
      await tellApplied(context, work, context.host.monotonic() - started, changed);
    });
    const end = (): void => {
      seeds.leave(name);
      application.part.over();
    };
    run.then(end, end);
    running.push(
      run.catch(async (error: unknown) => {
        throw await placeFailure(error, work.plan, loadedOf(work));
      }),
    );
  }
  const results = await Promise.allSettled(running);
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? tellOf(result.reason as Error) : [],
  );
  const [failure, ...others] = failures;
  if (failure !== undefined)
    throw joinFailures([failure, ...others], `${failures.length} of ${works.length} containers failed`);
}

function makesLayer({ step, action }: Change): boolean {
  return step.op === 'layer' && action !== 'none';
}

/** Tells which container has changed a shared thing: one of its users does, and reports the step. */
function countShared(reporter: Reporter): {
  readonly report: Reporter;
  isOf(container: string, change: Change): boolean;
} {
  const done = new Set<string>();
  return {
    report: {
      ...reporter,
      step(one) {
        if (one.outcome === 'done' || one.outcome === 'removed') done.add(`${one.container} ${one.step.id}`);
        reporter.step(one);
      },
    },
    isOf: (container, { action, step }) =>
      action !== 'none' && (step.shared !== true || done.has(`${container} ${step.id}`)),
  };
}

/** Containers that join this one's namespaces, directly or through others: without it they are not begun. */
function waitingFor(
  container: string,
  inOrder: readonly Work[],
  joinedOf: (work: Work) => readonly string[],
): readonly Work[] {
  const later = inOrder.slice(inOrder.findIndex(({ plan }) => plan.name === container) + 1);
  const direct = later.filter((work) => joinedOf(work).includes(container));
  return [...direct, ...direct.flatMap(({ plan }) => waitingFor(plan.name, later, joinedOf))];
}

/** Errors to report for a container: for one undone because another failed, only what could not be undone. */
function tellOf(error: Error): readonly Error[] {
  if (!(error instanceof UndoneError)) return [error];
  const { container, cleanup } = error;
  return cleanup.length === 0
    ? []
    : [new OperationError(`${container} could not be undone whole`, { container, cleanup })];
}

/** Error of a container that was not begun; the other container's own error says what went wrong. */
function asUnjoined(container: string, other: string, cause: unknown): unknown {
  if (cause instanceof InterruptedError) return cause;
  if (cause instanceof UndoneError) return new UndoneError(container, []);
  const message = `${container} is not applied: ${other}, whose namespaces it joins, failed`;
  return new OperationError(message, { container, cause });
}

function volumesToMake(changes: readonly Change[]): readonly string[] {
  return changes.flatMap(({ action, step }) => (action !== 'none' && isSeeded(step) ? [step.id] : []));
}

function joinedContainers(loaded: LoadedSpec | undefined): readonly string[] {
  return loaded === undefined ? [] : joinedBy(loaded.spec).map(({ container }) => container);
}

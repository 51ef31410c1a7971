// Containers of one call in a network namespace that another of them gives up: they leave before it goes, and come back
// when that one has what it is to have.
import type { Change } from './changes.ts';

/** What one container's application waits for, and says, around the taking away of what goes. */
export interface HandOver {
  /** Resolves when nobody of this call is left in what this container gives up. */
  vacated(): Promise<unknown>;
  /** What goes of this container is gone, or could not be taken away. */
  left(): void;
  /** Resolves when those it joins are as they are to be. @throws what kept them from it. */
  mayReturn(): Promise<unknown>;
}

export interface Vacating {
  /** Whether it is to begin at once, though it joins another one. */
  leavesFirst(container: string): boolean;
  of(container: string, joined: readonly Promise<void>[]): HandOver;
}

/** @param changes of each container of the call, by its name. */
export function planVacating(changes: ReadonlyMap<string, readonly Change[]>): Vacating {
  const leaving = new Map<string, Latch>();
  const leavers = new Map<string, readonly Latch[]>();
  for (const [owner, own] of changes) {
    if (!own.some(({ step, action }) => step.op === 'netns' && action === 'delete')) continue;
    const inIt = [...changes.keys()].filter((name) => name !== owner && formerOwner(name, changes) === owner);
    for (const name of inIt) leaving.set(name, createLatch());
    leavers.set(
      owner,
      inIt.flatMap((name) => leaving.get(name) ?? []),
    );
  }
  return {
    leavesFirst: (container) => leaving.has(container),
    of: (container, joined) => ({
      vacated: () => Promise.all(leavers.get(container)?.map((latch) => latch.done) ?? []),
      left: () => leaving.get(container)?.resolve(),
      mayReturn: () => Promise.all(joined),
    }),
  };
}

/** Whose network namespace it was in until now, through whomever; itself when in none of another's. */
function formerOwner(container: string, changes: ReadonlyMap<string, readonly Change[]>): string {
  const seen = new Set<string>();
  for (let name = container; ;) {
    const former = changes.get(name)?.find(({ step }) => step.op === 'bundle')?.former;
    const joined =
      former?.op === 'bundle' ? former.join.find(({ type }) => type === 'network')?.container : undefined;
    if (joined === undefined || seen.has(name)) return name;
    seen.add(name);
    name = joined;
  }
}

interface Latch {
  readonly done: Promise<void>;
  resolve(): void;
}

function createLatch(): Latch {
  let resolve = (): void => undefined;
  const done = new Promise<void>((go) => (resolve = go));
  return { done, resolve: () => resolve() };
}

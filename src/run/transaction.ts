// The containers of one apply stand or fall together: when one of them fails, what was made for the others is undone.
import { UndoneError } from '../errors.ts';

export interface Transaction {
  part(container: string): Part;
  /** Resolves when all steps of the container are made. @throws what it failed with. */
  untilMade(container: string): Promise<void>;
}

/** One container's side of the transaction: it reports its progress here, and learns of the others'. */
export interface Part {
  readonly joinsOthers: boolean;
  /** Name of the container that failed first; after that no other begins a step. */
  brokenBy(): string | undefined;
  /**
   * Reports that what can be told to fail ahead was looked at, and nothing changed yet. Resolves when that is so for every
   * container that joins no other, or when one has failed, so that its failure ends nobody's process.
   */
  ready(): Promise<void>;
  /**
   * Reports that the container's first change is next. @returns false when another has failed: then it does not begin.
   */
  begin(): boolean;
  /** All steps are made. @returns whether those of every container are, so that this one may stay. */
  made(): Promise<boolean>;
  /** Whether it is up for good: all are made, and another one of the call has joined its namespaces. */
  mustStay(): boolean;
  /** Reports that a step has failed, before anything is undone. */
  failed(cause: unknown): void;
  /** Resolves when the containers that join this one's namespaces are undone and hold them no more. */
  mayUndo(): Promise<void>;
  /** Reports that the container is undone. */
  undone(): void;
  /**
   * Resolves when all containers are undone, so that none has what this one gave up, and those that it joins are as
   * they were.
   */
  mayRestore(): Promise<void>;
  /** Reports the end: the container is up, undone, or was never begun. */
  over(): void;
}

/**
 * @param joined for each container of the call, the others of the call whose namespaces it joins; without circles.
 * @param whenBroken called when the first has failed, with those that have not begun, and will not; undefined where
 *   each stands for itself.
 */
export function createTransaction(
  joined: ReadonlyMap<string, readonly string[]>,
  whenBroken: ((unbegun: readonly string[]) => void) | undefined,
): Transaction {
  const members = new Map([...joined.keys()].map((name) => [name, createMember()]));
  const memberOf = (name: string): Member => {
    const member = members.get(name);
    if (member === undefined) throw new Error(`${name} is no container of this call`);
    return member;
  };
  const unbegun = new Set(members.keys());
  const unmade = new Set(members.keys());
  const verdict = createDeferred<boolean>();
  if (whenBroken === undefined) verdict.resolve(true);
  const unready = new Set([...joined].flatMap(([name, others]) => (others.length === 0 ? [name] : [])));
  const allReady = createDeferred<void>();
  const tellReady = (container: string): void => {
    unready.delete(container);
    if (unready.size === 0 || whenBroken === undefined) allReady.resolve();
  };
  let brokenBy: string | undefined;
  return {
    untilMade: (container) => memberOf(container).made.promise,
    part(container) {
      const member = memberOf(container);
      return {
        joinsOthers: (joined.get(container) ?? []).length > 0,
        brokenBy: () => brokenBy,
        ready() {
          tellReady(container);
          return allReady.promise;
        },
        begin() {
          if (brokenBy !== undefined) return false;
          unbegun.delete(container);
          return true;
        },
        made() {
          tellReady(container);
          member.made.resolve();
          unmade.delete(container);
          if (unmade.size === 0) verdict.resolve(true);
          return verdict.promise;
        },
        mustStay: () => unmade.size === 0 && [...joined.values()].some((names) => names.includes(container)),
        failed(cause) {
          member.made.reject(cause);
          if (whenBroken === undefined || brokenBy !== undefined || unmade.size === 0) return;
          brokenBy = container;
          for (const name of unmade) memberOf(name).made.reject(new UndoneError(name, []));
          whenBroken([...unbegun]);
          allReady.resolve();
          verdict.resolve(false);
        },
        async mayUndo() {
          const joining = [...joined].filter(([, names]) => names.includes(container));
          await Promise.all(joining.map(([name]) => memberOf(name).undone.promise));
        },
        undone: () => member.undone.resolve(),
        async mayRestore() {
          await Promise.all([...members.values()].map(({ undone }) => undone.promise));
          await Promise.all((joined.get(container) ?? []).map((name) => memberOf(name).over.promise));
        },
        over() {
          tellReady(container);
          member.undone.resolve();
          member.over.resolve();
        },
      };
    },
  };
}

interface Member {
  readonly made: Deferred<void>;
  readonly undone: Deferred<void>;
  readonly over: Deferred<void>;
}

function createMember(): Member {
  const made = createDeferred<void>();
  // The container reports its failure itself, and often no other container joins it and waits for this promise.
  made.promise.catch(() => undefined);
  return { made, undone: createDeferred(), over: createDeferred() };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(cause: unknown): void;
}

function createDeferred<T>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => undefined;
  let reject: Deferred<T>['reject'] = () => undefined;
  const promise = new Promise<T>((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}

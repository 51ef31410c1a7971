// Shared things, which several containers use under one name: bridges, the nft table, ip_forward. Their former state is
// kept in <data-dir>/shared.json, and in the record of each user in case that file gets lost. Their users are read from
// the records, never counted.
import type { Host } from '../host/host.ts';
import type { Before, Reverted } from '../ops/op.ts';
import type { Lease, Step } from '../plan/plan.ts';
import { isBefore } from './check-record.ts';
import type { ContainerRecord, Records } from './records.ts';
import { recordedSteps } from './records.ts';
import { seal, unseal } from './seal.ts';

export interface SharedState {
  before(id: string): Before | undefined;
  /** Stores the former state of the step's object, before the first effect; a state that is known already stays. */
  remember(step: Step, before: Before): Promise<void>;
  forget(id: string): Promise<void>;
  /** Counts a container of this call as a user before its record says so. */
  hold(id: string, container: string, lease?: Lease): void;
  /**
   * Counts the container as a user of what `record` names and of nothing else, whatever it holds or its record says by
   * now: it has changed nothing, or what it had changed is undone.
   */
  fallBack(container: string, record: ContainerRecord | undefined): void;
  /**
   * Ends the container's use. While others stay, the answer names them, and `reduce` may take away the parts that none
   * of them needs. With the last user `revert` is called, once even when several let go at the same time; for the others
   * of these the object is gone.
   */
  release(
    id: string,
    container: string,
    revert: () => Promise<Reverted>,
    reduce?: (staying: readonly Lease[]) => Promise<void>,
  ): Promise<Reverted>;
  /** Containers that use the object now. One whose record cannot be read may use anything. */
  users(id: string): Promise<readonly string[]>;
  /** Leases of the containers that use the object now, by their names; none where the record cannot be read. */
  leases(id: string): Promise<ReadonlyMap<string, readonly Lease[]>>;
  /** Steps of all shared objects that are known to have been changed, used or not. */
  readonly steps: readonly Step[];
  /** Whether shared.json needs no `mend`. */
  isWhole(): Promise<boolean>;
  /**
   * Writes shared.json again when it could not be read, or is of a former boot.
   * @returns whether there was one that could not be read.
   */
  mend(): Promise<boolean>;
}

interface SharedFile {
  readonly bootId: string;
  readonly before: Readonly<Record<string, Before>>;
  /** The steps that made the changes, so that they can be reverted when no container's record tells of them. */
  readonly steps: Readonly<Record<string, Step>>;
}

export async function openShared(
  host: Host,
  dataDir: string,
  bootId: string,
  records: Records,
): Promise<SharedState> {
  const path = `${dataDir}/shared.json`;
  const found = await readShared(host, path);
  // After a reboot the kernel has forgotten all that was made, so that the state before it no longer matters.
  const file = found === 'lost' ? await rebuild(records, bootId) : found.bootId === bootId ? found : NOTHING;
  const known = new Map(Object.entries(file.before));
  const steps = new Map(Object.entries(file.steps));
  const held = new Map<string, Map<string, readonly Lease[]>>();
  const fallenBack = new Map<string, Uses>();
  const released = new Set<string>();
  const reverting = new Map<string, Promise<Reverted>>();
  // Records are read once: under the lock only this call changes them, and it says so by hold and release.
  let recorded: Promise<Users> | undefined;
  const findUsers = async (id: string): Promise<readonly string[]> => {
    recorded ??= readUsers(records, bootId);
    const { byId, anything } = await recorded;
    const recordedNow = (byId.get(id) ?? []).filter((name) => !fallenBack.has(name));
    const back = [...fallenBack].flatMap(([name, { ids }]) => (ids.has(id) ? [name] : []));
    return [...new Set([...recordedNow, ...back, ...anything, ...(held.get(id)?.keys() ?? [])])];
  };
  const findLeases = async (id: string): Promise<ReadonlyMap<string, readonly Lease[]>> => {
    const users = (await findUsers(id)).filter((name) => !released.has(`${name} ${id}`));
    const known = await recorded;
    const recordedOf = (name: string): readonly Lease[] =>
      fallenBack.get(name)?.leases ?? known?.leases.get(name) ?? [];
    return new Map(users.map((name) => [name, [...recordedOf(name), ...(held.get(id)?.get(name) ?? [])]]));
  };
  const storing = new Map<string, Promise<void>>();
  let writing: Promise<unknown> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  const write = async (): Promise<void> => {
    if (known.size === 0) {
      await host.removeFile(path);
      return;
    }
    const now: SharedFile = { bootId, before: Object.fromEntries(known), steps: Object.fromEntries(steps) };
    const text = seal(now);
    try {
      await host.writeAtomic(path, text);
    } catch (error) {
      // Reverting must not need room on a full disk, so a text that is no longer than the file is written in place. A
      // kill in between costs the file, which the records replace.
      if (!isFull(error) || ((await host.readText(path)) ?? '').length < text.length) throw error;
      await host.writeInPlace(path, text);
    }
  };
  // Changes during a write go to the disk together, with the next one.
  const store = (): Promise<void> => {
    waiting ??= writing.then(() => {
      waiting = undefined;
      const next = write();
      // Only the order is kept here: a failure goes to those who wait for `next`.
      writing = next.catch(() => undefined);
      return next;
    });
    return waiting;
  };
  return {
    before: (id) => known.get(id),
    async remember(step, before) {
      const { id } = step;
      if (!known.has(id)) {
        known.set(id, before);
        steps.set(id, step);
        storing.set(id, store());
      }
      // Another container of this call may have come first: this one too has to wait until the state is on the disk.
      await storing.get(id);
    },
    async forget(id) {
      steps.delete(id);
      if (!known.delete(id)) return;
      try {
        await store();
      } catch (error) {
        // On a full disk the file may never have come to be: then there is nothing in it to forget.
        if (!isFull(error) || (await host.status(path)) !== undefined) throw error;
      }
    },
    hold(id, container, lease) {
      released.delete(`${container} ${id}`);
      reverting.delete(id);
      const leases = lease === undefined ? [] : [lease];
      held.set(id, (held.get(id) ?? new Map<string, readonly Lease[]>()).set(container, leases));
    },
    fallBack(container, record) {
      fallenBack.set(container, usesOf(record, bootId));
      for (const users of held.values()) users.delete(container);
    },
    async release(id, container, revert, reduce) {
      released.add(`${container} ${id}`);
      const found = await findLeases(id);
      // No await from here to the call of `revert` or `reduce`: of the containers that let go together one is the last.
      const users = [...found.keys()].filter((name) => !released.has(`${name} ${id}`));
      if (users.length > 0) {
        const staying = users.map((name) => found.get(name) ?? []);
        // A container whose record cannot be read has no leases here, and may need any part.
        if (staying.every((leases) => leases.length > 0)) await reduce?.(staying.flat());
        return { outcome: 'kept', reason: `used by ${users.slice(0, 3).join(', ')}` };
      }
      const running = reverting.get(id)?.then((earlier) => afterwards(earlier, revert)) ?? revert();
      reverting.set(id, running);
      return running;
    },
    users: findUsers,
    leases: findLeases,
    get steps() {
      return [...steps.values()];
    },
    isWhole: async () =>
      found === 'lost'
        ? known.size === 0 && (await host.status(path)) === undefined
        : found.bootId === bootId,
    async mend() {
      if (found !== 'lost') {
        if (found.bootId !== bootId) await store();
        return false;
      }
      const there = await host.status(path);
      if (there?.type === 'directory') await host.removeTree(path);
      await store();
      return there !== undefined;
    },
  };
}

/**
 * For the next of the last users that let go together. What the first of them could not remove, as this one still had
 * a part in it, this one may.
 */
function afterwards(earlier: Reverted, revert: () => Promise<Reverted>): Reverted | Promise<Reverted> {
  if (earlier.outcome === 'kept' && earlier.foreign !== true) return revert();
  return earlier.outcome === 'removed' ? { outcome: 'gone' } : earlier;
}

interface Uses {
  /** Of the shared objects. */
  readonly ids: ReadonlySet<string>;
  readonly leases: readonly Lease[];
}

function usesOf(record: ContainerRecord | undefined, bootId: string): Uses {
  if (record?.bootId !== bootId) return { ids: new Set(), leases: [] };
  const shared = recordedSteps(record).filter((step) => step.shared === true);
  return {
    ids: new Set(shared.map((step) => step.id)),
    leases: [record.applied, record.pending].flatMap((plan) => plan?.lease ?? []),
  };
}

interface Users {
  /** Names of containers by the id of what they share. */
  readonly byId: ReadonlyMap<string, readonly string[]>;
  /** Names of containers whose records cannot be read. */
  readonly anything: readonly string[];
  readonly leases: ReadonlyMap<string, readonly Lease[]>;
}

async function readUsers(records: Records, bootId: string): Promise<Users> {
  const byId = new Map<string, string[]>();
  const anything: string[] = [];
  const leases = new Map<string, readonly Lease[]>();
  for (const name of await records.names()) {
    const { record, faults } = await records.look(name);
    if (faults.length > 0) anything.push(name);
    const uses = usesOf(record, bootId);
    leases.set(name, uses.leases);
    for (const id of uses.ids) byId.set(id, [...(byId.get(id) ?? []), name]);
  }
  return { byId, anything, leases };
}

export function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

const NOTHING: SharedFile = { bootId: '', before: {}, steps: {} };

/** `lost`: the file cannot be read, or is not there, because nothing was changed yet or somebody removed it. */
async function readShared(host: Host, path: string): Promise<SharedFile | 'lost'> {
  try {
    const { bootId, before, steps } = (unseal((await host.readText(path)) ?? '') ?? {}) as {
      readonly [P in keyof SharedFile]?: SharedFile[P] | null;
    };
    const isWhole =
      typeof bootId === 'string' &&
      typeof (before ?? undefined) === 'object' &&
      Object.values(before ?? {}).every(isBefore);
    return isWhole ? { bootId, before: before ?? {}, steps: steps ?? {} } : 'lost';
  } catch (error) {
    // Something that is no file is in its place. Errors of the disk itself are thrown.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EINVAL' || code === 'ENXIO' || code === 'ELOOP') return 'lost';
    throw error;
  }
}

/** Rebuilds the content from the users' records: each has the former state, as it was found or known by then. */
async function rebuild(records: Records, bootId: string): Promise<SharedFile> {
  const before: Record<string, Before> = {};
  const steps: Record<string, Step> = {};
  for (const name of await records.names()) {
    const { record } = await records.look(name);
    if (record?.bootId !== bootId) continue;
    for (const step of recordedSteps(record)) {
      const found = step.shared === true ? record.before[step.id] : undefined;
      if (found === undefined) continue;
      before[step.id] ??= found;
      steps[step.id] ??= step;
    }
  }
  return { bootId, before, steps };
}

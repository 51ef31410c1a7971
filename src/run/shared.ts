// Things several containers use under one name: bridges, the nft table, ip_forward. What they were
// before is kept in <data-dir>/shared.json; who uses them is read from the containers' records, never counted.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Before, Reverted } from '../ops/op.ts';
import type { Records } from './records.ts';
import { recordedSteps } from './records.ts';

export interface SharedState {
  before(id: string): Before | undefined;
  /** Stored before the first effect; a former value that is known already stays. */
  remember(id: string, before: Before): Promise<void>;
  forget(id: string): Promise<void>;
  /** A container of this call is going to use it, though no record says so yet. */
  hold(id: string, container: string): void;
  /**
   * This container needs it no more. With its last user `revert` is called, once however many let go of it
   * at the same time; until then others are named in the answer.
   */
  release(id: string, container: string, revert: () => Promise<Reverted>): Promise<Reverted>;
}

interface SharedFile {
  readonly bootId: string;
  readonly before: Readonly<Record<string, Before>>;
}

const UNREADABLE =
  'move it away to go on without it; what was changed for all containers (ip_forward) then stays so';

export async function openShared(
  host: Host,
  dataDir: string,
  bootId: string,
  records: Records,
): Promise<SharedState> {
  const path = `${dataDir}/shared.json`;
  const text = await host.readText(path);
  const file = text === undefined ? undefined : parseShared(text, path);
  // After a reboot the kernel has forgotten what was made: what was before does not matter any more.
  const known = new Map(Object.entries(file?.bootId === bootId ? file.before : {}));
  const held = new Map<string, Set<string>>();
  const released = new Set<string>();
  const reverting = new Map<string, Promise<Reverted>>();
  // Records are read once: under the lock only this call changes them, and it says so by hold and release.
  let recorded: Promise<ReadonlyMap<string, readonly string[]>> | undefined;
  const findUsers = async (id: string): Promise<readonly string[]> => {
    recorded ??= readUsers(records, bootId);
    return [...new Set([...((await recorded).get(id) ?? []), ...(held.get(id) ?? [])])];
  };
  const storing = new Map<string, Promise<void>>();
  let writing: Promise<unknown> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  const write = async (): Promise<void> => {
    if (known.size === 0) await host.removeFile(path);
    else
      await host.writeAtomic(
        path,
        `${JSON.stringify({ bootId, before: Object.fromEntries(known) } satisfies SharedFile)}\n`,
      );
  };
  // What comes while a write is under way goes to the disk with the next one, all together.
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
    async remember(id, before) {
      if (!known.has(id)) {
        known.set(id, before);
        storing.set(id, store());
      }
      // Another container of this call may have been first: it too must be sure that it is on the disk.
      await storing.get(id);
    },
    async forget(id) {
      if (known.delete(id)) await store();
    },
    hold(id, container) {
      released.delete(`${container} ${id}`);
      reverting.delete(id);
      held.set(id, (held.get(id) ?? new Set()).add(container));
    },
    async release(id, container, revert) {
      released.add(`${container} ${id}`);
      const found = await findUsers(id);
      // From here to the call of `revert` nothing waits: of those who let go together one is the last.
      const users = found.filter((name) => !released.has(`${name} ${id}`));
      if (users.length > 0) return { outcome: 'kept', reason: `used by ${users.slice(0, 3).join(', ')}` };
      const running = reverting.get(id) ?? revert();
      reverting.set(id, running);
      return running;
    },
  };
}

/** Names of containers by the id of what they share. */
async function readUsers(records: Records, bootId: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const users = new Map<string, string[]>();
  for (const name of await records.names()) {
    const record = await records.read(name);
    if (record === undefined || record.bootId !== bootId) continue;
    const steps = recordedSteps(record).filter((step) => step.shared === true);
    for (const id of new Set(steps.map((step) => step.id))) users.set(id, [...(users.get(id) ?? []), name]);
  }
  return users;
}

function parseShared(text: string, path: string): SharedFile {
  try {
    const file = JSON.parse(text) as Partial<SharedFile> | null;
    if (typeof file?.bootId === 'string' && typeof file.before === 'object') return file as SharedFile;
  } catch (cause) {
    throw new OperationError(`the record ${path} cannot be read`, { cause, hint: UNREADABLE });
  }
  throw new OperationError(`the record ${path} is not one of runspec`, { hint: UNREADABLE });
}

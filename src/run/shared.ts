// Things several containers use under one name: bridges, the nft table, ip_forward. What they were
// before is kept in <data-dir>/shared.json; who uses them is read from the containers' records, never counted.
import type { Host } from '../host/host.ts';
import type { Before } from '../ops/op.ts';
import type { Records } from './records.ts';
import { recordedSteps } from './records.ts';

export interface SharedState {
  before(id: string): Before | undefined;
  /** Stored before the first effect; a former value that is known already stays. */
  remember(id: string, before: Before): Promise<void>;
  forget(id: string): Promise<void>;
  /** This container needs it no more; others of the same call see that before its record is gone. */
  release(id: string, container: string): void;
  /** Names of other live containers whose plans have a shared step of this id. */
  users(id: string, except: string): Promise<readonly string[]>;
}

interface SharedFile {
  readonly bootId: string;
  readonly before: Readonly<Record<string, Before>>;
}

export async function openShared(host: Host, dataDir: string, bootId: string, records: Records): Promise<SharedState> {
  const path = `${dataDir}/shared.json`;
  const text = await host.readText(path);
  const file = text === undefined ? undefined : (JSON.parse(text) as SharedFile);
  // After a reboot the kernel has forgotten what was made: what was before does not matter any more.
  const known = new Map(Object.entries(file?.bootId === bootId ? file.before : {}));
  const released = new Set<string>();
  let writing: Promise<unknown> = Promise.resolve();
  const store = (): Promise<void> => {
    const next = writing.then(async () => {
      if (known.size === 0) await host.removeFile(path);
      else await host.writeAtomic(path, `${JSON.stringify({ bootId, before: Object.fromEntries(known) } satisfies SharedFile)}\n`);
    });
    writing = next.catch(() => undefined);
    return next;
  };
  return {
    before: (id) => known.get(id),
    async remember(id, before) {
      if (known.has(id)) return;
      known.set(id, before);
      await store();
    },
    async forget(id) {
      if (known.delete(id)) await store();
    },
    release: (id, container) => {
      released.add(`${container} ${id}`);
    },
    async users(id, except) {
      const users: string[] = [];
      for (const name of await records.names()) {
        if (name === except || released.has(`${name} ${id}`)) continue;
        const record = await records.read(name);
        if (record === undefined || record.bootId !== bootId) continue;
        if (recordedSteps(record).some((step) => step.shared === true && step.id === id)) users.push(name);
      }
      return users;
    },
  };
}

// What runspec keeps of a container below <data-dir>/containers/NAME: the applied plan, the plan being
// applied, and the journal. Enough for `down` without the spec, after a kill at any moment.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Before } from '../ops/op.ts';
import { PLAN_VERSION, type Plan, type Step } from '../plan/plan.ts';

/** plan.json and pending.json. */
interface StoredPlan {
  readonly version: number;
  readonly bootId: string;
  readonly plan: Plan;
  readonly before: Readonly<Record<string, Before>>;
  /** The spec's file as given, for people; `down` never reads it. */
  readonly specFile: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface ContainerRecord {
  readonly name: string;
  readonly bootId: string;
  readonly specFile: string;
  readonly at: number;
  /** Applied as a whole; absent while the first apply has not finished. */
  readonly applied: Plan | undefined;
  /** Being applied, or left so by a kill. */
  readonly pending: Plan | undefined;
  /** What steps found before their first effect. */
  readonly before: Readonly<Record<string, Before>>;
}

/** A line of the journal: an intent before an effect, its outcome after. */
export interface JournalEntry {
  readonly event: 'intent' | 'done' | 'failed';
  readonly direction: 'apply' | 'update' | 'revert';
  readonly step: string;
  readonly before?: Before;
  readonly error?: string;
}

export interface Records {
  names(): Promise<readonly string[]>;
  read(name: string): Promise<ContainerRecord | undefined>;
  /** Makes the folder and stores the plan about to be applied, before its first effect. */
  begin(plan: Plan, former: ContainerRecord | undefined, specFile: string): Promise<void>;
  journal(name: string, entry: JournalEntry): Promise<void>;
  /** The pending plan has become the applied one. */
  finish(plan: Plan, before: Readonly<Record<string, Before>>, specFile: string): Promise<void>;
  /** The pending plan was rolled back to the applied one, which `former` has. */
  abandon(former: ContainerRecord): Promise<void>;
  /** Forgets the container: the last thing a complete `down` does. */
  remove(name: string): Promise<void>;
}

export function containerFolder(dataDir: string, name: string): string {
  return `${dataDir}/containers/${name}`;
}

export function createRecords(host: Host, dataDir: string, bootId: string): Records {
  const folderOf = (name: string): string => containerFolder(dataDir, name);
  const store = (path: string, stored: StoredPlan): Promise<void> =>
    host.writeAtomic(path, `${JSON.stringify(stored)}\n`, { mode: 0o600 });
  const stored = (plan: Plan, before: Readonly<Record<string, Before>>, specFile: string): StoredPlan => ({
    version: PLAN_VERSION,
    bootId,
    plan,
    before,
    specFile,
    at: host.now(),
  });
  return {
    names: async () => (await host.list(`${dataDir}/containers`)) ?? [],
    read: (name) => readRecord(host, folderOf(name), name),
    async begin(plan, former, specFile) {
      await host.makeDirectory(dataDir, { mode: 0o711 });
      await host.makeDirectory(`${dataDir}/containers`, { mode: 0o700 });
      await host.makeDirectory(folderOf(plan.name), { mode: 0o700 });
      await store(`${folderOf(plan.name)}/pending.json`, stored(plan, former?.before ?? {}, specFile));
    },
    journal: (name, entry) => host.append(`${folderOf(name)}/journal.jsonl`, `${JSON.stringify(entry)}\n`),
    async finish(plan, before, specFile) {
      const folder = folderOf(plan.name);
      // In this order: a kill in between leaves a pending plan that equals the applied one.
      await store(`${folder}/plan.json`, stored(plan, before, specFile));
      await host.removeFile(`${folder}/pending.json`);
      await host.removeFile(`${folder}/journal.jsonl`);
    },
    async abandon({ name, applied, before, specFile, at }) {
      // It may be the new plan that is stored as applied, when only what comes after that failed.
      if (applied !== undefined)
        await store(`${folderOf(name)}/plan.json`, { ...stored(applied, before, specFile), at });
      await host.removeFile(`${folderOf(name)}/pending.json`);
      await host.removeFile(`${folderOf(name)}/journal.jsonl`);
    },
    async remove(name) {
      await host.removeTree(folderOf(name));
      if (((await host.list(`${dataDir}/containers`)) ?? ['']).length === 0)
        await host.removeDirectory(`${dataDir}/containers`);
      if (((await host.list(dataDir)) ?? ['']).length === 0) await host.removeDirectory(dataDir);
    },
  };
}

async function readRecord(host: Host, folder: string, name: string): Promise<ContainerRecord | undefined> {
  const [applied, pending, journal] = await Promise.all([
    readStored(host, `${folder}/plan.json`),
    readStored(host, `${folder}/pending.json`),
    host.readText(`${folder}/journal.jsonl`),
  ]);
  const latest = pending ?? applied;
  if (latest === undefined) return undefined;
  const before: Record<string, Before> = {};
  for (const entry of parseJournal(journal ?? '')) {
    if (entry.event === 'intent' && entry.before !== undefined) before[entry.step] ??= entry.before;
  }
  return {
    name,
    bootId: latest.bootId,
    specFile: latest.specFile,
    at: (applied ?? latest).at,
    applied: applied?.plan,
    pending: pending?.plan,
    before: { ...before, ...pending?.before, ...applied?.before },
  };
}

async function readStored(host: Host, path: string): Promise<StoredPlan | undefined> {
  const text = await host.readText(path);
  if (text === undefined) return undefined;
  try {
    const stored = JSON.parse(text) as StoredPlan;
    if (stored.version === PLAN_VERSION && Array.isArray(stored.plan.steps)) return stored;
  } catch (cause) {
    throw new OperationError(`the record ${path} cannot be read`, {
      cause,
      hint: 'move it away to go on without it',
    });
  }
  throw new OperationError(`the record ${path} is of another version of runspec`, {
    hint: 'take the container down with the version that applied it',
  });
}

// A kill can cut the last line; what was cut had no effect yet, since intents are synced before effects.
function parseJournal(text: string): readonly JournalEntry[] {
  return text.split('\n').flatMap((line): readonly JournalEntry[] => {
    if (line === '') return [];
    try {
      return [JSON.parse(line) as JournalEntry];
    } catch {
      return [];
    }
  });
}

/** Every step that may have left something on the host: of the applied and of the pending plan, both where they differ. */
export function recordedSteps(record: ContainerRecord): readonly Step[] {
  const applied = record.applied?.steps ?? [];
  const pending = record.pending?.steps ?? [];
  const known = new Set(pending.map((step) => JSON.stringify(step)));
  return [...pending, ...applied.filter((step) => !known.has(JSON.stringify(step)))];
}

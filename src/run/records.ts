// What runspec keeps of a container below <data-dir>/containers/NAME: the applied plan, the plan being
// applied, and the journal. Enough for `down` without the spec, after a kill at any moment.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Before } from '../ops/op.ts';
import { PLAN_VERSION, type Plan, type Step } from '../plan/plan.ts';
import { containerFolder, RECORD_FILES, GROWING_FILES, SET_ASIDE } from '../plan/container-folder.ts';
import { isBefore, parseStoredPlan, type RecordFault, type StoredPlan } from './check-record.ts';
import { seal, unseal } from './seal.ts';
import { survivesReboot } from './reboot.ts';

export interface ContainerRecord {
  readonly name: string;
  /** Of the latest plan. */
  readonly bootId: string;
  /** Boot in which the applied plan was applied. */
  readonly appliedIn: string | undefined;
  readonly specFile: string;
  readonly at: number;
  /** Applied as a whole; absent while the first apply has not finished. */
  readonly applied: Plan | undefined;
  /** Being applied, or left so by a kill. */
  readonly pending: Plan | undefined;
  /** Steps of plans that were cut short before the pending one: they may be on the host, and neither plan has them. */
  readonly leftover: readonly Step[];
  /** What steps found before their first effect. */
  readonly before: Readonly<Record<string, Before>>;
}

/** A line of the journal: an intent before an effect, its outcome after. */
export interface JournalEntry {
  readonly event: 'intent' | 'done' | 'failed';
  readonly direction: 'apply' | 'update' | 'revert';
  readonly step: string;
  readonly before?: Before;
  /** Boot it was written in; absent from journals of earlier versions. */
  readonly bootId?: string;
  readonly error?: string;
}

/** What lies in a container's folder, be it whole or not. */
export interface FoundRecord {
  /** What can be read of it. */
  readonly record: ContainerRecord | undefined;
  readonly faults: readonly (RecordFault & { readonly path: string })[];
}

export interface Records {
  /** Of the containers that have a folder. */
  names(): Promise<readonly string[]>;
  /** What can be read of a container's record. @throws OperationError for one that only another runspec may act on. */
  read(name: string): Promise<ContainerRecord | undefined>;
  look(name: string): Promise<FoundRecord>;
  /** Renames what cannot be read, so that it is no longer in the way; it goes with the container's folder. */
  setAside(found: FoundRecord): Promise<void>;
  /** Makes the folder and stores the plan about to be applied, before its first effect. */
  begin(plan: Plan, former: ContainerRecord | undefined, specFile: string): Promise<void>;
  journal(name: string, entry: JournalEntry): Promise<void>;
  /** The pending plan has become the applied one. A kill right after it leaves a pending plan that says the same. */
  finish(plan: Plan, before: Readonly<Record<string, Before>>, specFile: string): Promise<void>;
  /** Nothing is pending any more. */
  settle(name: string): Promise<void>;
  /** The pending plan was rolled back to the applied one, which `former` has. */
  abandon(former: ContainerRecord): Promise<void>;
  /** Forgets the container: the last thing a complete `down` does. */
  remove(name: string): Promise<void>;
  /** Removes the folders of the records when nothing is in them. */
  tidy(): Promise<void>;
}

/** Names of containers: what else lies among their folders is not runspec's. */
export function isName(text: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

export function createRecords(host: Host, dataDir: string, bootId: string): Records {
  const folderOf = (name: string): string => containerFolder(dataDir, name);
  const read = createReader(host, dataDir, bootId);
  const store = (path: string, stored: StoredPlan): Promise<void> =>
    host.writeAtomic(path, seal(stored), { mode: 0o600 });
  const tidy = async (): Promise<void> => {
    if (((await host.list(`${dataDir}/containers`)) ?? ['']).length === 0)
      await host.removeDirectory(`${dataDir}/containers`);
    if (((await host.list(dataDir)) ?? ['']).length === 0) await host.removeDirectory(dataDir);
  };
  const settle = async (name: string): Promise<void> => {
    await host.removeFile(`${folderOf(name)}/${RECORD_FILES.pending}`);
    await host.removeFile(`${folderOf(name)}/${GROWING_FILES.journal}`);
  };
  const stored = (plan: Plan, before: Readonly<Record<string, Before>>, specFile: string): StoredPlan => ({
    version: PLAN_VERSION,
    bootId,
    plan,
    before,
    specFile,
    at: host.now(),
  });
  return {
    names: async () => ((await host.list(`${dataDir}/containers`)) ?? []).filter(isName),
    async read(name) {
      const { record, faults } = await read(name);
      const foreign = faults.map(explain).find((one) => one !== undefined);
      if (foreign !== undefined) throw foreign;
      return record;
    },
    look: read,
    async setAside({ faults }) {
      for (const { path, kind } of faults) {
        if (kind !== 'unreadable') continue;
        const aside = `${path}${SET_ASIDE}`;
        if ((await host.status(aside))?.type === 'directory') await host.removeTree(aside);
        await host.rename(path, aside);
      }
    },
    async begin(plan, former, specFile) {
      await host.makeDirectory(dataDir, { mode: 0o711 });
      await host.makeDirectory(`${dataDir}/containers`, { mode: 0o700 });
      await host.makeDirectory(folderOf(plan.name), { mode: 0o700 });
      const pending = stored(plan, former?.before ?? {}, specFile);
      const leftover = former === undefined ? [] : stepsOfNeither(former, plan);
      await store(`${folderOf(plan.name)}/${RECORD_FILES.pending}`, {
        ...pending,
        ...(leftover.length === 0 ? {} : { leftover }),
      });
    },
    journal: (name, entry) =>
      host.append(`${folderOf(name)}/${GROWING_FILES.journal}`, seal({ ...entry, bootId })),
    finish: (plan, before, specFile) =>
      store(`${folderOf(plan.name)}/${RECORD_FILES.applied}`, stored(plan, before, specFile)),
    settle,
    async abandon({ name, applied, appliedIn = bootId, before, specFile, at }) {
      // It may be the new plan that is stored as applied, when only what comes after that failed.
      if (applied !== undefined)
        await store(`${folderOf(name)}/${RECORD_FILES.applied}`, {
          ...stored(applied, before, specFile),
          bootId: appliedIn,
          at,
        });
      await settle(name);
    },
    async remove(name) {
      await host.removeTree(folderOf(name));
      await tidy();
    },
    tidy,
  };
}

type Stored = { readonly stored: StoredPlan } | FoundRecord['faults'][number] | undefined;

function createReader(host: Host, dataDir: string, bootId: string): (name: string) => Promise<FoundRecord> {
  // A call asks for a record several times; checking what it says takes longer than reading it.
  const known = new Map<string, { readonly text: string; readonly parsed: Stored }>();
  const readStored = async (path: string, name: string): Promise<Stored> => {
    const text = await readLenient(host, path);
    if (text === undefined) return undefined;
    const earlier = known.get(path);
    if (earlier?.text === text) return earlier.parsed;
    const result = parseStoredPlan(text, name, dataDir);
    const parsed = 'stored' in result ? result : { ...result.fault, path };
    known.set(path, { text, parsed });
    return parsed;
  };
  return async (name) => {
    const folder = containerFolder(dataDir, name);
    const [first, second, journal] = await Promise.all([
      readStored(`${folder}/${RECORD_FILES.applied}`, name),
      readStored(`${folder}/${RECORD_FILES.pending}`, name),
      readLenient(host, `${folder}/${GROWING_FILES.journal}`),
    ]);
    return asRecord(name, bootId, first, second, journal);
  };
}

function asRecord(
  name: string,
  bootId: string,
  first: Stored,
  second: Stored,
  journal: string | undefined,
): FoundRecord {
  const faults = [first, second].flatMap((one) => (one !== undefined && 'kind' in one ? [one] : []));
  const applied = first !== undefined && 'stored' in first ? first.stored : undefined;
  const pending = second !== undefined && 'stored' in second ? second.stored : undefined;
  const latest = pending ?? applied;
  if (latest === undefined) return { record: undefined, faults };
  const steps = [...(latest.leftover ?? []), ...latest.plan.steps, ...(applied?.plan.steps ?? [])];
  const onDisk = new Set(steps.filter(survivesReboot).map((step) => step.id));
  const before: Record<string, Before> = {};
  // The first look counts, and of the kernel's things only one of this boot.
  const note = (id: string, found: Before, lookedIn: string): void => {
    if (lookedIn === bootId || onDisk.has(id)) before[id] ??= found;
  };
  for (const stored of [applied, pending]) {
    if (stored === undefined) continue;
    for (const [id, found] of Object.entries(stored.before)) note(id, found, stored.bootId);
  }
  for (const entry of parseJournal(journal ?? '')) {
    if (entry.event === 'intent' && entry.before !== undefined)
      note(entry.step, entry.before, entry.bootId ?? latest.bootId);
  }
  const record: ContainerRecord = {
    name,
    bootId: latest.bootId,
    appliedIn: applied?.bootId,
    specFile: latest.specFile,
    at: (applied ?? latest).at,
    applied: applied?.plan,
    pending: pending?.plan,
    leftover: pending?.leftover ?? [],
    before,
  };
  return { record, faults };
}

/** Something else in the place of a file reads as an empty text. */
async function readLenient(host: Host, path: string): Promise<string | undefined> {
  try {
    return await host.readText(path);
  } catch (error) {
    if (NO_FILE.has((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** What open(2) or read(2) says of a folder, a socket, a fifo, a circle of symlinks. */
const NO_FILE: ReadonlySet<string> = new Set(['EINVAL', 'EISDIR', 'ENXIO', 'ELOOP']);

function explain(fault: FoundRecord['faults'][number]): OperationError | undefined {
  switch (fault.kind) {
    case 'unreadable':
      return undefined;
    case 'newer':
      return new OperationError(`the record ${fault.path} is of another version of runspec`, {
        hint: 'take the container down with the version that applied it',
      });
    case 'elsewhere':
      return new OperationError(`the record ${fault.path} is of a container in ${fault.dataDir}`, {
        hint: `it looks like a copy: use --data-dir ${fault.dataDir}, or remove ${fault.path}`,
      });
  }
}

// A kill can cut the last line, and a disk can damage any: what such a line said of before is unknown then.
function parseJournal(text: string): readonly JournalEntry[] {
  return text.split('\n').flatMap((line): readonly JournalEntry[] => {
    const entry = unseal(line) as Partial<JournalEntry> | null | undefined;
    if (typeof entry?.step !== 'string' || (entry.before !== undefined && !isBefore(entry.before))) return [];
    return [entry as JournalEntry];
  });
}

/** Every step that may have left something on the host: of the applied and of other plans, all versions where they differ. */
export function recordedSteps({ applied, pending, leftover }: ContainerRecord): readonly Step[] {
  const steps = [...leftover, ...(pending?.steps ?? []), ...(applied?.steps ?? [])];
  return [...new Map(steps.map((step) => [JSON.stringify(step), step])).values()];
}

/** What of earlier plans that were cut short is in neither the applied nor the next one. */
export function stepsOfNeither(record: ContainerRecord, next: Plan | undefined): readonly Step[] {
  const told = [...(record.applied?.steps ?? []), ...(next?.steps ?? [])];
  const known = new Set(told.map((step) => JSON.stringify(step)));
  return recordedSteps(record).filter((step) => !known.has(JSON.stringify(step)));
}

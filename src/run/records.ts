// The record of a container in <data-dir>/containers/NAME: the applied plan, the plan being applied, and the journal.
// The record is enough for `down` without the spec, after a kill at any moment.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Before } from '../ops/op.ts';
import { PLAN_VERSION, type Plan, type Step } from '../plan/plan.ts';
import { removeAside } from '../runtime/former-end.ts';
import { containerFolder, RECORD_FILES, GROWING_FILES, SET_ASIDE } from '../plan/container-folder.ts';
import { isBefore, parseStoredPlan, type RecordFault, type StoredPlan } from './check-record.ts';
import { seal, unseal } from './seal.ts';
import { survivesReboot } from './reboot.ts';

export interface ContainerRecord {
  readonly name: string;
  /** Boot of the latest plan, applied or pending. */
  readonly bootId: string;
  /** Boot in which the applied plan was applied. */
  readonly appliedIn: string | undefined;
  readonly specFile: string;
  readonly at: number;
  /** The plan that was applied as a whole; absent while the first apply has not finished. */
  readonly applied: Plan | undefined;
  /** The plan that is being applied, or that a kill has cut short. */
  readonly pending: Plan | undefined;
  /** Steps of plans that were cut short before the pending one: they may be on the host, and neither plan has them. */
  readonly leftover: readonly Step[];
  /** State that the steps found before their first effect. */
  readonly before: Readonly<Record<string, Before>>;
}

/** A line of the journal: an intent before an effect, its outcome after. */
export interface JournalEntry {
  readonly event: 'intent' | 'done' | 'failed';
  readonly direction: 'apply' | 'update' | 'revert';
  readonly step: string;
  readonly before?: Before;
  /** Boot in which the entry was written; absent from journals of earlier versions. */
  readonly bootId?: string;
  readonly error?: string;
}

/** The content of a container's folder, whole or damaged. */
export interface FoundRecord {
  /** The readable part. */
  readonly record: ContainerRecord | undefined;
  readonly faults: readonly (RecordFault & { readonly path: string })[];
}

export interface Records {
  /** Names of the containers that have a record folder. */
  names(): Promise<readonly string[]>;
  /**
   * The readable part of a container's record.
   * @throws OperationError for a record that only another runspec may act on.
   */
  read(name: string): Promise<ContainerRecord | undefined>;
  look(name: string): Promise<FoundRecord>;
  /** Renames files that cannot be read, so that they are no longer in the way; they go with the container's folder. */
  setAside(found: FoundRecord): Promise<void>;
  /** Makes the folder and stores the plan about to be applied, before its first effect. */
  begin(plan: Plan, former: ContainerRecord | undefined, specFile: string): Promise<void>;
  journal(name: string, entry: JournalEntry): Promise<void>;
  /** Stores the pending plan as the applied one. A kill right after this leaves a pending plan that says the same. */
  finish(plan: Plan, before: Readonly<Record<string, Before>>, specFile: string): Promise<void>;
  /** Removes the pending plan, the journal, and how the former process had ended. */
  settle(name: string): Promise<void>;
  /** Ends a pending plan that was rolled back to the applied one, which `former` has. */
  abandon(former: ContainerRecord): Promise<void>;
  /** Forgets the container: the last thing a complete `down` does. */
  remove(name: string): Promise<void>;
  /** Removes the folders of the records when nothing is in them. */
  tidy(): Promise<void>;
}

/** Whether the text is a container's name: other entries among the record folders are not runspec's. */
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
    // Before the pending plan: with none, nothing may be laid aside.
    await removeAside(host, folderOf(name));
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
      // `finish` may have failed after it had stored the new plan as the applied one: the former one is stored again.
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
  // Parsed plans by path: a call asks for a record several times, and checking its text takes longer than reading it.
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
  // The state found first counts. What was found of the kernel's objects in an earlier boot does not.
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

/** Text of a file, which is empty for anything but a regular file in its place. */
async function readLenient(host: Host, path: string): Promise<string | undefined> {
  try {
    return await host.readText(path);
  } catch (error) {
    if (NO_FILE.has((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** Errors of open(2) and read(2) for a folder, a socket, a fifo or a circle of symlinks. */
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

// A kill can cut the last line short, and a disk can damage any: the state that such a line told of is then unknown.
function parseJournal(text: string): readonly JournalEntry[] {
  return text.split('\n').flatMap((line): readonly JournalEntry[] => {
    const entry = unseal(line) as Partial<JournalEntry> | null | undefined;
    if (typeof entry?.step !== 'string' || (entry.before !== undefined && !isBefore(entry.before))) return [];
    return [entry as JournalEntry];
  });
}

/**
 * Every step that may have left something on the host: those of the applied plan, of the pending one and of earlier
 * ones that were cut short, all versions where they differ.
 */
export function recordedSteps({ applied, pending, leftover }: ContainerRecord): readonly Step[] {
  const steps = [...leftover, ...(pending?.steps ?? []), ...(applied?.steps ?? [])];
  return [...new Map(steps.map((step) => [JSON.stringify(step), step])).values()];
}

/** Steps of plans that were cut short which neither the applied plan nor `next` has. */
export function stepsOfNeither(record: ContainerRecord, next: Plan | undefined): readonly Step[] {
  const told = [...(record.applied?.steps ?? []), ...(next?.steps ?? [])];
  const known = new Set(told.map((step) => JSON.stringify(step)));
  return recordedSteps(record).filter((step) => !known.has(JSON.stringify(step)));
}

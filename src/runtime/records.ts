// What is kept of a container's process below its records folder: who it is, and how it ended.
import type { Host } from '../host/host.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { RECORD_FILES } from '../plan/container-folder.ts';
import type { ProcessIdentity } from './proc.ts';

/** Bumped when newer code can no longer read it. */
export const RECORD_VERSION: number = 1;

/** process.json, written once the process runs. */
export interface ProcessRecord {
  readonly version: number;
  readonly container: string;
  readonly bootId: string;
  readonly init: ProcessIdentity;
  /** conmon; absent for a process in the foreground. */
  readonly monitor?: ProcessIdentity;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly launch: LaunchRecord;
  /** Where the kernel counts what its OOM killer did in the cgroup, and the count at the start. */
  readonly oom?: { readonly file: string; readonly kills: number };
}

/** What cannot be changed in a process that runs. */
export type LaunchRecord = Pick<
  ProcessStep,
  'bundle' | 'runtime' | 'runtimeRoot' | 'log' | 'terminal' | 'cgroup'
>;

export async function readProcessRecord(host: Host, records: string): Promise<ProcessRecord | undefined> {
  const path = `${records}/${RECORD_FILES.process}`;
  // Something else in its place is no record either.
  if ((await host.status(path))?.type !== 'file') return undefined;
  const text = await host.readText(path);
  return text === undefined ? undefined : parseProcessRecord(text);
}

/** A damaged record tells as little as none: the process is found by its cgroup, and started anew by an apply. */
function parseProcessRecord(text: string): ProcessRecord | undefined {
  try {
    const record = JSON.parse(text) as Partial<ProcessRecord> | null;
    const isWhole =
      record?.version === RECORD_VERSION &&
      isIdentity(record.init) &&
      (record.monitor === undefined || isIdentity(record.monitor)) &&
      typeof record.bootId === 'string' &&
      typeof record.startedAt === 'number' &&
      typeof record.launch === 'object';
    return isWhole ? (record as ProcessRecord) : undefined;
  } catch {
    return undefined;
  }
}

function isIdentity(value: unknown): boolean {
  const { pid, startTime } = (value ?? {}) as Partial<ProcessIdentity>;
  return Number.isInteger(pid) && (pid ?? 0) > 0 && typeof startTime === 'string';
}

export async function writeProcessRecord(host: Host, records: string, record: ProcessRecord): Promise<void> {
  await host.writeAtomic(`${records}/${RECORD_FILES.process}`, `${JSON.stringify(record)}\n`, {
    mode: 0o600,
  });
}

export function launchOf(step: ProcessStep): LaunchRecord {
  const { bundle, runtime, runtimeRoot, log, terminal, cgroup } = step;
  return { bundle, runtime, runtimeRoot, log, terminal, cgroup };
}

/** mkdir -p, each folder for root alone. */
export async function makeFolders(host: Host, path: string): Promise<void> {
  if ((await host.status(path)) !== undefined) return;
  await makeFolders(host, path.slice(0, path.lastIndexOf('/')) || '/');
  await host.makeDirectory(path, { mode: 0o700 });
}

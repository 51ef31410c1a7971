// process.json in a container's folder: who its process is, and how it was launched.
import type { Host } from '../host/host.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { RECORD_FILES } from '../plan/container-folder.ts';
import type { ProcessIdentity } from './proc.ts';

/** Raised when newer code can no longer read the files of older code. */
const VERSION: number = 1;

/** Content of process.json, without its version. Written once the process runs. */
export interface ProcessFile {
  readonly container: string;
  readonly bootId: string;
  readonly init: ProcessIdentity;
  /** conmon; absent for a process in the foreground. */
  readonly monitor?: ProcessIdentity;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly launch: LaunchSettings;
  /** The file in which the kernel counts its OOM kills in the cgroup, and the count at the start. */
  readonly oom?: { readonly file: string; readonly kills: number };
}

/** Settings that cannot be changed in a process that runs. */
export type LaunchSettings = Pick<
  ProcessStep,
  'bundle' | 'runtime' | 'runtimeRoot' | 'log' | 'terminal' | 'cgroup'
>;

export async function readProcessFile(host: Host, records: string): Promise<ProcessFile | undefined> {
  const path = `${records}/${RECORD_FILES.process}`;
  // Something other than a file in its place tells as little as no file.
  if ((await host.status(path))?.type !== 'file') return undefined;
  const text = await host.readText(path);
  return text === undefined ? undefined : parseProcessFile(text);
}

/** A damaged file tells as little as none: the process is found by its cgroup, and started anew by an apply. */
function parseProcessFile(text: string): ProcessFile | undefined {
  try {
    const found = JSON.parse(text) as Partial<ProcessFile & { readonly version: number }> | null;
    const isWhole =
      found?.version === VERSION &&
      isIdentity(found.init) &&
      (found.monitor === undefined || isIdentity(found.monitor)) &&
      typeof found.bootId === 'string' &&
      typeof found.startedAt === 'number' &&
      typeof found.launch === 'object';
    return isWhole ? (found as ProcessFile) : undefined;
  } catch {
    return undefined;
  }
}

function isIdentity(value: unknown): boolean {
  const { pid, startTime } = (value ?? {}) as Partial<ProcessIdentity>;
  return Number.isInteger(pid) && (pid ?? 0) > 0 && typeof startTime === 'string';
}

export async function writeProcessFile(host: Host, records: string, file: ProcessFile): Promise<void> {
  const text = `${JSON.stringify({ version: VERSION, ...file })}\n`;
  await host.writeAtomic(`${records}/${RECORD_FILES.process}`, text, { mode: 0o600 });
}

export function launchOf(step: ProcessStep): LaunchSettings {
  const { bundle, runtime, runtimeRoot, log, terminal, cgroup } = step;
  return { bundle, runtime, runtimeRoot, log, terminal, cgroup };
}

/** mkdir -p, each folder for root alone. */
export async function makeFolders(host: Host, path: string): Promise<void> {
  if ((await host.status(path)) !== undefined) return;
  await makeFolders(host, path.slice(0, path.lastIndexOf('/')) || '/');
  await host.makeDirectory(path, { mode: 0o700 });
}

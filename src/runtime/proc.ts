// Processes as /proc shows them. A pid alone proves nothing, since numbers are used again: a process is
// known by its pid together with the clock tick of its start.
import type { Host } from '../host/host.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot, as decimal text. */
  readonly startTime: string;
}

/** Undefined when the process is gone or only waits to be reaped. */
export async function readIdentity(host: Host, pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readProcFile(host, `/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the program's name in parentheses and may itself contain both spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0] ?? '';
  // A zombie with more than one thread (field 20) lives: only its first thread has ended.
  if (state === 'X' || state === 'x' || (state === 'Z' && Number(fields[17]) <= 1)) return undefined;
  return { pid, startTime: fields[19] ?? '' };
}

export async function isAlive(host: Host, process: ProcessIdentity): Promise<boolean> {
  return (await readIdentity(host, process.pid))?.startTime === process.startTime;
}

export async function readBootId(host: Host): Promise<string> {
  return ((await host.readText('/proc/sys/kernel/random/boot_id')) ?? '').trim();
}

/** ESRCH: the process went; ENODEV: the cgroup did; EINVAL: the process is a zombie, and no longer in a mount namespace. */
const GONE: ReadonlySet<string> = new Set(['ESRCH', 'ENODEV', 'EINVAL']);

/** Text of a file below /proc/PID or of a cgroup; undefined when that has gone, even between open(2) and read(2). */
export async function readProcFile(host: Host, path: string): Promise<string | undefined> {
  try {
    return await host.readText(path);
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Calls `test` until it says true, more and more rarely; false when the time is over. */
export async function waitUntil(
  host: Host,
  milliseconds: number,
  test: () => Promise<boolean>,
): Promise<boolean> {
  const end = host.now() + milliseconds;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    if (await test()) return true;
    if (host.now() >= end) return false;
    await host.sleep(pause);
  }
}

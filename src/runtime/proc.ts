// Processes as /proc shows them. A pid alone proves nothing, since numbers are used again: a process is
// known by its pid together with the clock tick of its start.
import { constants } from 'node:os';
import type { Host } from '../host/host.ts';
import { listOrNothing } from '../host/proc-files.ts';

const { SIGKILL } = constants.signals;
/** linux/sched.h: in do_exit. */
const PF_EXITING = 0x4;

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot, as decimal text. */
  readonly startTime: string;
}

/** Undefined when the process is gone or only waits to be reaped. */
export async function readIdentity(host: Host, pid: number): Promise<ProcessIdentity | undefined> {
  const fields = await readStat(host, pid);
  if (fields === undefined || isDead(fields)) return undefined;
  return { pid, startTime: fields[19] ?? '' };
}

/**
 * Fields of /proc/PID/stat from the third on. The second, the program's name in parentheses, may have spaces and
 * parentheses in it.
 */
async function readStat(host: Host, pid: number): Promise<readonly string[] | undefined> {
  const stat = await readProcFile(host, `/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** A zombie with more than one thread (field 20) lives: only its first thread has ended. */
function isDead([state = '', ...fields]: readonly string[]): boolean {
  return state === 'X' || state === 'x' || (state === 'Z' && Number(fields[16]) <= 1);
}

export async function readParent(host: Host, pid: number): Promise<number | undefined> {
  const fields = await readStat(host, pid);
  return fields === undefined ? undefined : Number(fields[1]);
}

/**
 * The number of the process, or of a live thread of it when its first one has ended: of that /proc shows no namespaces
 * and no cgroup. A thread's number serves below /proc like a process's.
 */
export async function findLivingTask(host: Host, pid: number): Promise<number | undefined> {
  const first = (await readStat(host, pid))?.[0];
  if (first === undefined) return undefined;
  if (first !== 'Z') return pid;
  for (const task of await listOrNothing(host, `/proc/${pid}/task`)) {
    const state = (await readStat(host, Number(task)))?.[0];
    if (state !== undefined && !/^[ZXx]$/.test(state)) return Number(task);
  }
  return undefined;
}

export async function isAlive(host: Host, process: ProcessIdentity): Promise<boolean> {
  return (await readIdentity(host, process.pid))?.startTime === process.startTime;
}

/**
 * It ends, and something keeps it in the kernel: SIGKILL has come and waits, as for a frozen cgroup of v1, or the exit has
 * begun, in which process 1 of a namespace waits for all others there. Of several threads the first may end alone.
 */
export async function isDoomed(host: Host, pid: number): Promise<boolean> {
  const first = await readStat(host, pid);
  if (first === undefined || !isThreadDoomed(first)) return false;
  if (Number(first[17]) <= 1) return true;
  const tasks = await listOrNothing(host, `/proc/${pid}/task`);
  const threads = await Promise.all(tasks.map((task) => readStat(host, Number(task))));
  return threads.every((fields) => fields === undefined || isThreadDoomed(fields));
}

/** Its state (field 3), flags (9) and pending signals (31). */
function isThreadDoomed(fields: readonly string[]): boolean {
  const isExiting = (Number(fields[6]) & PF_EXITING) !== 0 || /^[ZXx]$/.test(fields[0] ?? '');
  return isExiting || (Number(fields[28] ?? 0) & (1 << (SIGKILL - 1))) !== 0;
}

export async function readBootId(host: Host): Promise<string> {
  return ((await host.readText('/proc/sys/kernel/random/boot_id')) ?? '').trim();
}

/**
 * ESRCH: the process has gone; ENODEV: the cgroup has; EINVAL: the process is a zombie, in no mount namespace any more.
 */
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
  const end = host.monotonic() + milliseconds;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    if (await test()) return true;
    if (host.monotonic() >= end) return false;
    await host.sleep(pause);
  }
}

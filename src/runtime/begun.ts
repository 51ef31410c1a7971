// Whether a container's init is its program by now: runtimes answer before execve(2).
import type { Host } from '../host/host.ts';
import { readLinkOrNothing } from '../host/proc-files.ts';
import { readProcFile, waitUntil } from './proc.ts';

/** Names of runc's and crun's init until execve(2). A runtime that wraps another one starts one of these. */
const RUNTIMES = /^(?:runc:|exe$|crun|libcrun|\d+$)/;

/** The executable of a process. runc's init executes a copy of runc that has no path: `/`, or a file in memory. */
export function readExecutable(host: Host, pid: number): Promise<string | undefined> {
  return readLinkOrNothing(host, `/proc/${pid}/exe`);
}

/** Time for execve(2) on a slow machine. Only a program that has the name of a runtime is waited for that long. */
const BEGIN_MS = 2000;

/**
 * Waits until the process is the program, or has ended.
 * @param own executable of the runtime's init, if known: it tells the init from a program with the name of a runtime.
 * @param isOver tells of an end that /proc does not show yet.
 * @returns false when the time is over.
 */
export async function awaitProgram(
  host: Host,
  pid: number,
  runtime: string,
  own: string | undefined,
  isOver: () => Promise<boolean>,
): Promise<boolean> {
  return waitUntil(host, BEGIN_MS, async () => {
    const name = (await readProcFile(host, `/proc/${pid}/comm`))?.trim();
    if (name === undefined || (await isOver())) return true;
    if (name !== runtime && !RUNTIMES.test(name)) return true;
    const executed = await readExecutable(host, pid);
    // On the way to the program runc may pass through another file in memory.
    return own !== undefined && executed !== undefined && executed !== own && !executed.startsWith('/memfd:');
  });
}

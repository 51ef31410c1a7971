// The file in which a runtime names the process that it has started.
import type { Child, Host } from '../host/host.ts';
import { type ProcessIdentity, readIdentity } from './proc.ts';

/** Longest pause between looks: the last one may outlast the runtime, and delays everything that waits for its end. */
const LONGEST_PAUSE_MS = 5;

/** Waits for the pid file; undefined when the runtime has ended before, or the process was too short-lived. */
export async function awaitPidFile(
  host: Host,
  child: Child,
  file: string,
): Promise<ProcessIdentity | undefined> {
  const exit = watchExit(child);
  for (let pause = 2; !exit.seen; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const pid = Number((await host.readText(file))?.trim() ?? Number.NaN);
    if (Number.isInteger(pid) && pid > 0) return readIdentity(host, pid);
    await host.sleep(pause);
  }
  return undefined;
}

export function watchExit(child: Child): { readonly seen: boolean } {
  const exit = { seen: false };
  void child.exited.then(() => (exit.seen = true));
  return exit;
}

// Private folders for work in progress, each named after its process, so that the folders of a killed one are known.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';

/** Runs `task` with a folder of its own below `parent`, which is gone afterwards. */
export async function withWorkFolder<T>(
  host: Host,
  parent: string,
  task: (folder: string) => Promise<T>,
  prefix = '',
): Promise<T> {
  const folder = await makeWorkFolder(host, parent, prefix);
  let result: T;
  try {
    result = await task(folder);
  } catch (error) {
    await host.removeTree(folder).catch((cleanup: unknown) => {
      throw withCleanup(error, cleanup);
    });
    throw error;
  }
  await host.removeTree(folder);
  return result;
}

function withCleanup(error: unknown, cleanup: unknown): OperationError {
  const failed = cleanup instanceof Error ? cleanup : new Error(String(cleanup));
  if (!(error instanceof Error)) return new OperationError(String(error), { cleanup: [failed] });
  const { hint, command } = error instanceof OperationError ? error : {};
  return new OperationError(error.message, { cause: error, hint, command, cleanup: [failed] });
}

async function makeWorkFolder(host: Host, parent: string, prefix: string): Promise<string> {
  const self = processIdentity((await host.readText('/proc/self/stat')) ?? '') ?? 'unknown-0';
  for (let number = 0; ; number++) {
    const folder = `${parent}/${prefix}${self}-${number}`;
    if (await host.makeDirectory(folder, { mode: 0o700 })) return folder;
  }
}

/** `PID-START` of a process as in /proc/PID/stat; the start time tells a later process of the same pid apart. */
export function processIdentity(stat: string): string | undefined {
  // The command name, in parentheses, may hold anything.
  const match = /^(\d+) \(.*\) (.*)$/s.exec(stat);
  const start = match?.[2]?.split(' ')[19];
  return match === null || start === undefined ? undefined : `${match[1]}-${start}`;
}

/**
 * Removes the folders of `names` below `parent` that are no living process's work. @returns the names that are gone.
 */
export async function removeStaleFolders(
  host: Host,
  parent: string,
  prefix: string,
  names: readonly string[],
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const name of names) {
    const owner = /^(\d+)-\d+(?=-\d+$)/.exec(name.slice(prefix.length));
    const stat = owner === null ? undefined : await host.readText(`/proc/${owner[1]}/stat`);
    if (owner !== null && processIdentity(stat ?? '') === owner[0]) continue;
    if (await host.removeTree(`${parent}/${name}`)) removed.push(name);
  }
  return removed;
}

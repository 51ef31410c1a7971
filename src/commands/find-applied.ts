// findApplied: a container's name in place of a SPEC stands for the file that the container was applied from.
import { posix } from 'node:path';
import { UsageError } from '../errors.ts';
import { STDIN } from '../load/read-sources.ts';
import { createRecords, isName } from '../run/records.ts';
import type { CommandContext } from './context.ts';

/**
 * Finds the spec that each argument was applied from, if it is no file but a container's name. If it is both, it means
 * the file or folder that the container is from, so that a second call means what the first one did.
 *
 * @throws UsageError when an argument could mean either.
 */
export async function findApplied(
  { host, dataDir, workingDirectory, isRoot }: CommandContext,
  args: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const name of args) {
    if (!isName(name)) continue;
    const path = posix.resolve(workingDirectory, name);
    const isPath = (await host.realPath(path)) !== undefined;
    // Only root can read the records, or apply anything.
    if (isPath && !isRoot) continue;
    const { record } = await createRecords(host, dataDir, '').look(name);
    if (record === undefined) continue;
    const { specFile } = record;
    if (isPath) {
      if (path === specFile || path === posix.dirname(specFile)) continue;
      throw new UsageError(
        `${name} is a container, applied from ${specFile}, and something else in this folder`,
        `write ./${name} for what is here${specFile === STDIN ? '' : `, or ${specFile}`}`,
      );
    }
    if (specFile === STDIN)
      throw new UsageError(`${name} was applied from standard input`, 'give its spec once more');
    if ((await host.realPath(specFile)) === undefined)
      throw new UsageError(
        `${specFile}, which ${name} was applied from, is gone`,
        `give the file that has its spec, or: runspec down ${name}`,
      );
    files.set(name, specFile);
  }
  return files;
}

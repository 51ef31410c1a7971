// Folders that outlive a container, volumes and persistent layers: made out of sight, until they are whole and get their name.
import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import { removeStaleFolders, withWorkFolder } from '../image/work-folder.ts';

/** Prefix of the folders in which they are made: no volume and no container has such a name. */
const PREFIX = '.new.';

/** @param make makes the folder that is then moved to `path`. */
export async function makeUnseen(
  host: Host,
  path: string,
  make: (folder: string) => Promise<void>,
): Promise<void> {
  const makeAndName = async (work: string): Promise<void> => {
    const folder = `${work}/folder`;
    await make(folder);
    await host.rename(folder, path);
  };
  // The work folder is beside the other: no other place is sure to be on the same file system.
  await withWorkFolder(host, posix.dirname(path), makeAndName, PREFIX);
}

/** Removes the unfinished folders that killed processes left below `parent`. */
export async function removeStaleUnseen(host: Host, parent: string): Promise<void> {
  await removeStaleFolders(host, parent, PREFIX, await listUnseen(host, parent));
}

/** Names of the folders in which others are being made, or were when their maker was killed. */
export async function listUnseen(host: Host, parent: string): Promise<readonly string[]> {
  return ((await host.list(parent)) ?? []).filter((name) => name.startsWith(PREFIX));
}

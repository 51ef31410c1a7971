// Half-made work that killed processes left in the store and beside volumes and persistent layers.
import type { Host } from '../host/host.ts';
import { listWork, removeStaleWork } from '../image/store.ts';
import { listUnseen, removeStaleUnseen } from '../ops/unseen.ts';

/** Cheap; never touches the work of a live process. */
export async function removeAllStaleWork(host: Host, dataDir: string): Promise<void> {
  await Promise.all([
    removeStaleWork(host, dataDir),
    ...keptFolders(dataDir).map((folder) => removeStaleUnseen(host, folder)),
  ]);
}

/** Whether there is half-made work, of killed or of live processes. */
export async function hasWork(host: Host, dataDir: string): Promise<boolean> {
  const unseen = keptFolders(dataDir).map((folder) => listUnseen(host, folder));
  const found = await Promise.all([listWork(host, dataDir), ...unseen]);
  return found.flat().length > 0;
}

function keptFolders(dataDir: string): readonly string[] {
  return [`${dataDir}/volumes`, `${dataDir}/writable`];
}

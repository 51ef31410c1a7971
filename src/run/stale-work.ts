// Half-made work that killed processes left in the store and beside the volumes.
import type { Host } from '../host/host.ts';
import { listWork, removeStaleWork } from '../image/store.ts';
import { listSeeds, removeStaleSeeds } from '../ops/volume-seeds.ts';

/** Cheap; never touches the work of a live process. */
export async function removeAllStaleWork(host: Host, dataDir: string): Promise<void> {
  await Promise.all([removeStaleWork(host, dataDir), removeStaleSeeds(host, `${dataDir}/volumes`)]);
}

/** Whether there is half-made work, of killed or of live processes. */
export async function hasWork(host: Host, dataDir: string): Promise<boolean> {
  const found = await Promise.all([listWork(host, dataDir), listSeeds(host, `${dataDir}/volumes`)]);
  return found.flat().length > 0;
}

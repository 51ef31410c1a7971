// What killed processes left half made, in the store and beside the volumes.
import type { Host } from '../host/host.ts';
import { removeStaleWork } from '../image/store.ts';
import { removeStaleSeeds } from '../ops/volume-seeds.ts';

/** Cheap; never touches the work of a live process. */
export async function removeAllStaleWork(host: Host, dataDir: string): Promise<void> {
  await Promise.all([removeStaleWork(host, dataDir), removeStaleSeeds(host, `${dataDir}/volumes`)]);
}

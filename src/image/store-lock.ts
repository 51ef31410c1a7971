// Locks of the store, which die with their holder: one for each thing that is being made, held for as long as that
// takes, and one for the store's names, held for moments only.
import { openStore, removeStaleWork, storePaths } from './store.ts';
import type { LayerContext } from './unpack-tarball.ts';

const PATIENCE_MS = 1000;
const NAMES = 'names';

export type StoreContext = Pick<LayerContext, 'host' | 'dataDir' | 'signal' | 'progress'>;

/** Runs `task` while no other process runs one for the same key; `what` names it for those who wait. */
export async function withStoreLock<T>(
  context: StoreContext,
  key: string,
  what: string,
  task: () => Promise<T>,
): Promise<T> {
  const { host, dataDir } = context;
  await openStore(host, dataDir);
  await removeStaleWork(host, dataDir);
  return whileLocked(context, key, `makes ${what}`, task);
}

/**
 * Runs `task` while no other process gives or takes a name in the store. A garbage collection then sees a layer with
 * its note or neither of them, and every tag whose puller has already found layers in the store. The store must be
 * open.
 */
export async function withStoreNames<T>(context: StoreContext, task: () => Promise<T>): Promise<T> {
  return whileLocked(context, NAMES, 'changes the store', task);
}

async function whileLocked<T>(
  { host, dataDir, signal, progress }: StoreContext,
  name: string,
  doing: string,
  task: () => Promise<T>,
): Promise<T> {
  const path = `${storePaths(dataDir).locks}/${name}`;
  let lock = await host.lock(path, PATIENCE_MS);
  while (lock === undefined) {
    signal.throwIfAborted();
    progress(`waiting for another runspec that ${doing}`);
    lock = await host.lock(path, PATIENCE_MS);
  }
  try {
    return await task();
  } finally {
    // The file is removed while it is locked: nobody can take a lock on a file that is about to go.
    await host.removeFile(path);
    await lock.release();
  }
}

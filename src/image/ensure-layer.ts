// Makes one layer present in the store. Whoever comes second while it is being made waits for the first.
import type { LayerRecipe } from '../plan/plan.ts';
import { makeDirectoryLayer, makeFilesLayer } from './directory-layer.ts';
import { makeHostLayer } from './host-layer.ts';
import { hasLayer, openStore, removeStaleWork } from './store.ts';
import { makeTarballLayer, type LayerContext } from './unpack-tarball.ts';

const PATIENCE_MS = 1000;

export async function ensureLayer(context: LayerContext, recipe: LayerRecipe): Promise<void> {
  const { host, dataDir, signal } = context;
  if (await hasLayer(host, dataDir, recipe.key)) return;
  const { locks } = await openStore(host, dataDir);
  await removeStaleWork(host, dataDir);
  const path = `${locks}/${recipe.key}`;
  let lock = await host.lock(path, PATIENCE_MS);
  while (lock === undefined) {
    signal.throwIfAborted();
    context.progress(`waiting for another runspec that makes layer ${recipe.key.slice(0, 12)}`);
    lock = await host.lock(path, PATIENCE_MS);
  }
  try {
    if (!(await hasLayer(host, dataDir, recipe.key))) await makeByKind(context, recipe);
  } finally {
    // Removed while it is held: nobody can take a lock on a file that is about to go.
    await host.removeFile(path);
    await lock.release();
  }
}

async function makeByKind(context: LayerContext, recipe: LayerRecipe): Promise<void> {
  switch (recipe.kind) {
    case 'tarball':
      return makeTarballLayer(context, recipe.tarball, recipe.sha256);
    case 'directory':
      return makeDirectoryLayer(context, recipe);
    case 'files':
      return makeFilesLayer(context, recipe);
    case 'host':
      return makeHostLayer(context, recipe.files, recipe.key);
  }
}

// Makes one layer present in the store. A second process that needs the layer while it is being made waits for the
// first.
import type { LayerRecipe } from '../plan/layer-recipe.ts';
import { makeDirectoryLayer, makeFilesLayer } from './directory-layer.ts';
import { makeHostLayer } from './host-layer.ts';
import { createTurns } from './in-turn.ts';
import { hasLayer } from './store.ts';
import { withStoreLock } from './store-lock.ts';
import { makeTarballLayer, type LayerContext } from './unpack-tarball.ts';
import type { ImageRecipe } from './use-image.ts';

/** Layers made at a time, as many as Docker pulls by default: more would only divide line, disk and processors. */
const inTurn = createTurns(3);

export async function ensureLayer(context: LayerContext, recipe: LayerRecipe): Promise<void> {
  const { host, dataDir } = context;
  if (await hasLayer(host, dataDir, recipe.key)) return;
  await inTurn(async () => {
    context.signal.throwIfAborted();
    await withStoreLock(context, recipe.key, `layer ${recipe.key.slice(0, 12)}`, async () => {
      if (!(await hasLayer(host, dataDir, recipe.key))) await makeByKind(context, recipe);
    });
  });
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
    case 'image':
      return makeFromImage(context, recipe);
  }
}

async function makeFromImage(context: LayerContext, recipe: ImageRecipe): Promise<void> {
  const { image, mediaType, digest, size, diffId } = recipe;
  const descriptor = { mediaType, digest, size };
  // Loaded when needed, to keep the start of every other command short.
  const [{ openReference }, { makeImageLayer }] = await Promise.all([
    import('./use-image.ts'),
    import('./image-layer.ts'),
  ]);
  const source = await openReference(context, image);
  await makeImageLayer(context, image, { descriptor, diffId }, () =>
    source.openBlob(descriptor, context.signal),
  );
}

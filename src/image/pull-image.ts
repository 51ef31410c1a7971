// Pulls an image: its record becomes a tag, its layers come into the store, several at a time.
import { ensureLayer } from './ensure-layer.ts';
import { readTag, removeTag, tagKey, writeTag } from './image-records.ts';
import type { Image } from './image.ts';
import { withStoreLock, withStoreNames } from './store-lock.ts';
import type { LayerContext } from './unpack-tarball.ts';
import { imageRecipe, readFromSource } from './use-image.ts';

/**
 * Pulls an image anew, from a registry or from a folder or file, and tags it. Two processes that pull the same image do
 * the work once; the tag comes first, so that no garbage collection takes the layers as unused.
 */
export async function pullImage(context: LayerContext, reference: string): Promise<Image> {
  const { host, dataDir } = context;
  return withStoreLock(context, tagKey(reference), `image ${reference}`, async () => {
    const former = await readTag(host, dataDir, reference);
    const image = await readFromSource(context, reference);
    // A garbage collection sees the tag, or is done before this process looks for its layers.
    await withStoreNames(context, () => writeTag(host, dataDir, image));
    try {
      await ensureLayers(context, image);
    } catch (error) {
      if (former === undefined) await removeTag(host, dataDir, reference);
      else await writeTag(host, dataDir, former);
      throw error;
    }
    return image;
  });
}

async function ensureLayers(context: LayerContext, image: Image): Promise<void> {
  const recipes = image.layers.map((layer) => imageRecipe(context.dataDir, image.reference, layer));
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const each = new Map(recipes.map((recipe) => [recipe.key, recipe]));
  const layers = [...each.values()].map(async (recipe) => {
    try {
      await ensureLayer({ ...context, signal }, recipe);
    } catch (error) {
      // The first failure ends the others, which are waited for: each cleans up behind itself.
      failed.abort(error);
    }
  });
  await Promise.all(layers);
  signal.throwIfAborted();
}

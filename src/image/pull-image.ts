// Pulls an image: its record becomes a tag, its layers come into the store, several at a time.
import { ensureLayer } from './ensure-layer.ts';
import { readTag, removeTag, tagKey, writeTag } from './image-records.ts';
import type { Image } from './image.ts';
import { withStoreLock, withStoreNames } from './store-lock.ts';
import type { LayerContext } from './unpack-tarball.ts';
import { imageRecipe, readFromSource } from './use-image.ts';

/** As Docker does by default; more only divides one line among them. */
const LAYERS_AT_ONCE = 3;

/**
 * Pulls an image anew, from a registry or from a folder or file, and tags it. Two that pull the same do the
 * work once; the tag comes first, so that nobody collects the layers as unused.
 */
export async function pullImage(context: LayerContext, reference: string): Promise<Image> {
  const { host, dataDir } = context;
  return withStoreLock(context, tagKey(reference), `image ${reference}`, async () => {
    const former = await readTag(host, dataDir, reference);
    const image = await readFromSource(context, reference);
    // Whoever collects garbage sees the tag, or is done before we look for its layers.
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
  const waiting = [...new Map(recipes.map((recipe) => [recipe.key, recipe])).values()];
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const work = async (): Promise<void> => {
    for (let recipe = waiting.shift(); recipe !== undefined; recipe = waiting.shift())
      await ensureLayer({ ...context, signal }, recipe);
  };
  const workers = Array.from({ length: LAYERS_AT_ONCE }, () =>
    work().catch((error: unknown) => {
      // The first failure ends the others, which are waited for: each cleans up behind itself.
      waiting.length = 0;
      failed.abort(error);
    }),
  );
  await Promise.all(workers);
  signal.throwIfAborted();
}

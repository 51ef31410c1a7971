// Brings into the store what specs name on the network. Called before the host is locked: a long download
// lets others work meanwhile.
import type { LayerSource, RootfsSource, Spec } from '../load/spec.ts';
import { ensureLayer, withStoreLock } from './ensure-layer.ts';
import { isComplete, readTag, removeTag, tagKey, writeTag } from './image-records.ts';
import type { Image } from './image.ts';
import { isUrl, readReference } from './references.ts';
import { layerPath } from './store.ts';
import { fetchReference, type LayerContext } from './unpack-tarball.ts';
import { imageRecipe, isRemote, readFromSource } from './use-image.ts';

/** As Docker does by default; more only divides one line among them. */
const LAYERS_AT_ONCE = 3;

export interface FetchOptions {
  /** Pinned archives of this host as well, so that a wrong one is found before anything else is done. */
  readonly local: boolean;
}

/** @throws OperationError */
export async function fetchSources(context: LayerContext, spec: Spec, options: FetchOptions): Promise<void> {
  for (const source of [spec.rootfs, ...spec.layers]) await fetchSource(context, source, options);
}

async function fetchSource(
  context: LayerContext,
  source: RootfsSource | LayerSource,
  { local }: FetchOptions,
): Promise<void> {
  const { host, dataDir } = context;
  if (source.kind === 'image' && isRemote(source.image)) {
    const image = await readTag(host, dataDir, source.image);
    if (image === undefined || !(await isComplete(host, dataDir, image)))
      await pullImage(context, source.image);
    return;
  }
  if (source.kind !== 'tarball' || !(local || isUrl(source.tarball))) return;
  const { tarball, sha256 } = source;
  if (sha256 !== undefined) {
    const path = layerPath(dataDir, sha256);
    await ensureLayer(context, { kind: 'tarball', key: sha256, path, tarball, sha256 });
  } else if (isUrl(tarball) && (await readReference(host, dataDir, tarball)) === undefined) {
    await fetchReference(context, tarball);
  }
}

/**
 * Pulls an image anew, from a registry or from a folder or file, and tags it. Two that pull the same do the
 * work once; the tag comes first, so that nobody collects the layers as unused.
 */
export async function pullImage(context: LayerContext, reference: string): Promise<Image> {
  const { host, dataDir } = context;
  return withStoreLock(context, tagKey(reference), `image ${reference}`, async () => {
    const former = await readTag(host, dataDir, reference);
    const image = await readFromSource(context, reference);
    await writeTag(host, dataDir, image);
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
  const work = async (): Promise<void> => {
    for (let recipe = waiting.shift(); recipe !== undefined; recipe = waiting.shift())
      await ensureLayer(context, recipe);
  };
  await Promise.all(Array.from({ length: LAYERS_AT_ONCE }, work));
}

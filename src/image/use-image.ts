// Images by reference: from the tag of one that was pulled, else from their source.
import { OperationError } from '../errors.ts';
import { parseImageReference } from '../load/image-reference.ts';
import { showSource } from '../load/show-source.ts';
import { platformOf } from './platform.ts';
import { readTag } from './image-records.ts';
import { isRemote } from './remote-sources.ts';
import type { Image, ImageLayer, ImageSource } from './image.ts';
import { layerKey } from './digest.ts';
import type { LayerRecipe } from '../plan/layer-recipe.ts';
import { readImage } from './read-image.ts';
import { openImageSource } from './sources/open-source.ts';
import { layerPath } from './store.ts';
import type { LayerContext } from './unpack-tarball.ts';

export type ImageRecipe = Extract<LayerRecipe, { readonly kind: 'image' }>;

type Scope = Pick<LayerContext, 'host' | 'archives' | 'dataDir' | 'signal'>;

/** Finds an image. Reads only; asks a registry about one that was never pulled. @throws OperationError */
export async function findImage(scope: Scope, reference: string): Promise<Image> {
  const tagged = isRemote(reference) ? await readTag(scope.host, scope.dataDir, reference) : undefined;
  return tagged ?? readFromSource(scope, reference);
}

/** Reads an image as its source has it now, whatever was pulled before. @throws OperationError */
export async function readFromSource(scope: Scope, reference: string): Promise<Image> {
  return readImage(await openReference(scope, reference), platformOf(process.arch));
}

/** @param reference in full, as a spec has it. */
export async function openReference(scope: Scope, reference: string): Promise<ImageSource> {
  const parsed = parseImageReference(reference, '/');
  if ('problem' in parsed)
    throw new OperationError(`${showSource(reference)} ${parsed.problem}`, { hint: parsed.hint });
  return openImageSource(scope, parsed.value);
}

export function imageRecipe(dataDir: string, image: string, { descriptor, diffId }: ImageLayer): ImageRecipe {
  const key = layerKey(diffId);
  const { mediaType, digest, size } = descriptor;
  return { kind: 'image', key, path: layerPath(dataDir, key), image, mediaType, digest, size, diffId };
}

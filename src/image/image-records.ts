// Tags: records of pulled images. <data-dir>/images/tags/<hash of the reference>.json holds the whole Image. A tag
// keeps its layers in the store, and makes a second apply need no network.
import type { Host } from '../host/host.ts';
import { sha256 } from '../crypto.ts';
import type { Image } from './image.ts';
import { layerKey } from './digest.ts';
import { hasLayer, storePaths, writeStored } from './store.ts';

/**
 * Image as it was last pulled; undefined also for a record that was cut short: the image is then read from its source.
 */
export async function readTag(host: Host, dataDir: string, reference: string): Promise<Image | undefined> {
  const image = parseTag(await host.readText(tagPath(dataDir, reference)));
  return image?.reference === reference ? image : undefined;
}

export async function writeTag(host: Host, dataDir: string, image: Image): Promise<void> {
  await writeStored(host, dataDir, tagPath(dataDir, image.reference), `${JSON.stringify(image)}\n`);
}

export async function removeTag(host: Host, dataDir: string, reference: string): Promise<boolean> {
  return host.removeFile(tagPath(dataDir, reference));
}

/** Tags in the order of their references. */
export async function listTags(host: Host, dataDir: string): Promise<readonly Image[]> {
  const { tags } = storePaths(dataDir);
  const names = ((await host.list(tags)) ?? []).filter((name) => name.endsWith('.json'));
  const found = await Promise.all(
    names.map(async (name) => parseTag(await host.readText(`${tags}/${name}`))),
  );
  return found
    .flatMap((image) => image ?? [])
    .toSorted((one, other) => (one.reference < other.reference ? -1 : 1));
}

/** Whether all layers of an image are in the store: a killed pull leaves a tag without them. */
export async function isComplete(host: Host, dataDir: string, image: Image): Promise<boolean> {
  const there = await Promise.all(keysOf(image).map((key) => hasLayer(host, dataDir, key)));
  return there.every(Boolean);
}

/** Keys of an image's layers in the store, lowest first. */
export function keysOf({ layers }: Image): readonly string[] {
  return layers.map((layer) => layerKey(layer.diffId));
}

/** Key that names a tag's file and lock. */
export function tagKey(reference: string): string {
  return sha256(reference);
}

function tagPath(dataDir: string, reference: string): string {
  return `${storePaths(dataDir).tags}/${tagKey(reference)}.json`;
}

function parseTag(text: string | undefined): Image | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Image);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

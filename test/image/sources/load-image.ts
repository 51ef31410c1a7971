// Reads an image as a process of its own would, from a folder that is the test file's own.
import { createHash } from 'node:crypto';
import type { Image } from '../../../src/image/image.ts';
import { platformOf } from '../../../src/image/platform.ts';
import { readImage } from '../../../src/image/read-image.ts';
import { openImageSource } from '../../../src/image/sources/open-source.ts';
import { parseImageReference } from '../../../src/load/image-reference.ts';
import { archives, host, makeScratch } from '../scratch.ts';
import { archive, entry } from '../write-tar.ts';

export const scratch = makeScratch();
export const hex = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
export const layer = archive(entry({ name: 'file', data: 'x'.repeat(700) }));
export const upper = archive(entry({ name: 'other', data: 'y' }));

/** The image that a reference names, and its layers as stored. */
export async function load(reference: string): Promise<Image & { readonly blobs: readonly Buffer[] }> {
  const { signal } = new AbortController();
  const parsed = parseImageReference(reference, scratch);
  if ('problem' in parsed) throw new Error(parsed.problem);
  const open = () => openImageSource({ host, archives, signal }, parsed.value);
  const source = await open();
  const image = await readImage(source, platformOf('x64'));
  const blobs = [];
  for (const { descriptor } of image.layers) {
    // Each layer is fetched by itself, perhaps days after the image was read: the source knows nothing of it yet.
    const fresh = await open();
    const chunks = (await (await fresh.openBlob(descriptor, signal)).toArray()) as Buffer[];
    blobs.push(Buffer.concat(chunks));
  }
  return { ...image, blobs };
}

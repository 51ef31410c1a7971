// Writes an image into an OCI image layout, a new one or beside the images that are there. Blobs get their names
// when they are whole, and index.json is replaced last: readers see the image as a whole or not at all.
import { OperationError, UsageError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Descriptor, Digest } from './image.ts';
import { parseDocument, listOf, fieldsOf } from './document.ts';
import { OCI_INDEX } from './media-types.ts';

const NAME = 'org.opencontainers.image.ref.name';
const WORK = '.runspec-';
const PATIENCE_MS = 60_000;

/**
 * Makes the folder of a layout where it is missing.
 * @returns whether it is new.
 * @throws UsageError when the folder holds something else; nothing is touched then.
 */
export async function prepareLayout(host: Host, folder: string): Promise<boolean> {
  const found = await host.statusOfTarget(folder);
  if (found === undefined) return host.makeDirectory(folder, { mode: 0o755 });
  if (found.type !== 'directory') throw new UsageError(`${folder} is a ${found.type}, not a folder`, HINT);
  const names = (await host.list(folder)) ?? [];
  const isLayout = names.includes('index.json');
  if (!isLayout && names.some((name) => name !== 'blobs' && !name.startsWith(WORK)))
    throw new UsageError(`${folder} is no OCI image layout, and not empty`, HINT);
  return false;
}

const HINT = 'name a folder that is new or empty, or a layout to add to';

/** Makes the folders of blobs, once all of an image is whole: a failure before leaves nothing. */
export async function makeBlobFolder(host: Host, folder: string): Promise<void> {
  for (const path of [`${folder}/blobs`, `${folder}/blobs/sha256`])
    await host.makeDirectory(path, { mode: 0o755 });
}

function blobPath(folder: string, digest: Digest): string {
  return `${folder}/blobs/${digest.replace(':', '/')}`;
}

/** Gives a whole file its name among the blobs; one that is there already has the same content. */
export async function keepBlob(
  host: Host,
  folder: string,
  file: string,
  digest: Digest,
  mode: number,
): Promise<void> {
  await host.setMode(file, mode);
  await host.rename(file, blobPath(folder, digest));
}

/** Gives the tag to the manifest; other tags, and images without one, stay. */
export async function tagManifest(
  host: Host,
  folder: string,
  manifest: Descriptor,
  tag: string,
  mode: number,
): Promise<void> {
  // Locked, because of two processes that add to one layout at once each would lose the other's tag.
  const path = `${folder}/.runspec-lock`;
  const lock = await host.lock(path, PATIENCE_MS);
  if (lock === undefined)
    throw new OperationError(`another runspec is writing to ${folder}`, { hint: 'try again' });
  try {
    const text = await host.readText(`${folder}/index.json`);
    const index = text === undefined ? {} : parseDocument(Buffer.from(text), 'index.json');
    const others = listOf(index['manifests'] ?? [], 'manifests of index.json').filter((entry) => {
      const { annotations } = fieldsOf(entry, 'an entry of index.json');
      return annotations === undefined || fieldsOf(annotations, 'annotations')[NAME] !== tag;
    });
    const manifests = [...others, { ...manifest, annotations: { [NAME]: tag } }];
    const document = { schemaVersion: 2, mediaType: OCI_INDEX, ...index, manifests };
    await host.writeAtomic(`${folder}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}\n', { mode });
    await host.writeAtomic(`${folder}/index.json`, `${JSON.stringify(document)}\n`, { mode });
  } finally {
    await host.removeFile(path);
    await lock.release();
  }
}

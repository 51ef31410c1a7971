// Images from sources: index, manifest and config, read as strictly as umoci does: type, size and digest are checked
// before a word of them counts. Layers are not read here.
import { OperationError } from '../errors.ts';
import { chooseManifest, readChecked } from './choose-manifest.ts';
import { checkDigest, DOCUMENT_LIMIT, hashDocument, shorten } from './document.ts';
import type { Digest, Image, ImageSource, Platform } from './image.ts';
import { nameArchive } from './inspect-tar.ts';
import { INDEXES } from './media-types.ts';
import { parseConfig } from './read-config.ts';
import { parseManifest, readDocumentFields } from './read-manifest.ts';

/** @throws OperationError that begins with the source's reference. */
export async function readImage(source: ImageSource, platform: Platform): Promise<Image> {
  try {
    return await read(source, platform);
  } catch (error) {
    throw nameArchive(error, source.reference);
  }
}

async function read(source: ImageSource, platform: Platform): Promise<Image> {
  const { root, digest, fields } = await readManifest(source, platform);
  const manifest = parseManifest(fields);
  const bytes = await readChecked(source, manifest.config, `config ${shorten(manifest.config.digest)}`);
  const config = parseConfig(bytes);
  const { layers } = manifest;
  if (layers.length !== config.diffIds.length) {
    throw new OperationError(
      `its manifest names ${layers.length} layers, its config ${config.diffIds.length}`,
    );
  }
  return {
    reference: source.reference,
    digest,
    root,
    configDigest: manifest.config.digest,
    platform: config.platform,
    configText: bytes.toString('utf8'),
    config: config.config,
    layers: layers.flatMap((descriptor, index) => {
      const diffId = config.diffIds[index];
      return diffId === undefined ? [] : [{ descriptor, diffId }];
    }),
  };
}

async function readManifest(
  source: ImageSource,
  platform: Platform,
): Promise<{
  readonly root: Digest;
  readonly digest: Digest;
  readonly fields: Readonly<Record<string, unknown>>;
}> {
  const document = await source.readRoot(DOCUMENT_LIMIT);
  if (source.pin !== undefined) checkDigest(document.bytes, source.pin, 'it');
  const root = source.pin ?? hashDocument(document.bytes);
  const { mediaType, fields } = readDocumentFields(document, 'the manifest');
  if (!INDEXES.includes(mediaType)) return { root, digest: root, fields };
  const chosen = await chooseManifest(source, fields, platform);
  const what = `manifest ${shorten(chosen.digest)}`;
  const bytes = await readChecked(source, chosen, what);
  return {
    root,
    digest: chosen.digest,
    fields: readDocumentFields({ mediaType: chosen.mediaType, bytes }, what).fields,
  };
}

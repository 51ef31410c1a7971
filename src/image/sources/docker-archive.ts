// Archives of `docker save`. manifest.json names the config and the layers of each image: old versions as ID.json and
// ID/layer.tar, newer ones as blobs of an OCI layout. They hold no manifest as registries have it; the one made here is
// what `skopeo copy` would make, so that its digest is the same every time.
import { createHash } from 'node:crypto';
import { OperationError } from '../../errors.ts';
import { parseImageReference, formatImageReference } from '../../load/image-reference.ts';
import {
  DOCUMENT_LIMIT,
  fieldsOf,
  hashDocument,
  listOf,
  parseJson,
  readWhole,
  shorten,
  textOf,
  textsOf,
} from '../document.ts';
import type { Descriptor, ImageSource } from '../image.ts';
import { DOCKER_CONFIG, DOCKER_MANIFEST } from '../media-types.ts';
import { parseConfig } from '../read-config.ts';
import type { ArchiveFiles } from './archive-files.ts';
import type { SourceContext } from './files.ts';
import { openLayout } from './oci-layout.ts';

const LAYER = 'application/vnd.docker.image.rootfs.diff.tar';
const SUFFIXES: Readonly<Record<string, string>> = {
  '1f8b0800': '.gzip',
  '1f8b0808': '.gzip',
  '28b52ffd': '.zstd',
};

interface SavedImage {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

export async function openDockerArchive(
  context: SourceContext,
  files: ArchiveFiles,
  reference: string,
  name: string | undefined,
): Promise<ImageSource> {
  const { signal } = context;
  if (!(await files.has('manifest.json'))) {
    if (await files.has('index.json')) return openLayout(context, files, reference, name);
    throw new OperationError('it is no archive of docker save: it has no manifest.json', {
      hint: 'save it again with a current Docker or Podman; a root filesystem in a tar archive is rootfs.tarball',
    });
  }
  const places = new Map<string, string>();
  /**
   * File of a blob. A layer of an image that was read before may be asked for by itself, and only manifest.json knows
   * its file.
   */
  const placeOf = async ({ digest }: Descriptor): Promise<string> => {
    if (!places.has(digest)) await readRoot(DOCUMENT_LIMIT);
    const place = places.get(digest);
    if (place === undefined) throw new OperationError(`blob ${shorten(digest)} is not in the archive`);
    return place;
  };
  const read = async (file: string, limit: number): Promise<Buffer> =>
    readWhole(await files.open(file, signal), limit, file);
  const readRoot: ImageSource['readRoot'] = async (limit) => {
    const image = chooseByName(readImages(await read('manifest.json', limit)), name);
    const config = await read(image.config, DOCUMENT_LIMIT);
    const { diffIds } = parseConfig(config);
    const configDigest = checkName(image.config, hashDocument(config));
    places.set(configDigest, image.config);
    const layers: Descriptor[] = [];
    for (const [index, file] of image.layers.entries()) {
      const layer = await describeLayer(files, file, diffIds[index], signal);
      places.set(layer.digest, file);
      layers.push(layer);
    }
    const manifest = {
      schemaVersion: 2,
      mediaType: DOCKER_MANIFEST,
      config: { mediaType: DOCKER_CONFIG, size: config.length, digest: configDigest },
      layers: layers.map(({ mediaType, size, digest }) => ({ mediaType, size, digest })),
    };
    return { mediaType: DOCKER_MANIFEST, bytes: Buffer.from(JSON.stringify(manifest)) };
  };
  return {
    reference,
    readRoot,
    readDocument: async (descriptor, limit) => read(await placeOf(descriptor), limit),
    openBlob: async (descriptor, aborted) => files.open(await placeOf(descriptor), aborted),
  };
}

function readImages(bytes: Buffer): readonly SavedImage[] {
  return listOf(parseJson(bytes, 'manifest.json'), 'manifest.json').map((value, index) => {
    const what = `manifest.json[${index}]`;
    const { Config, Layers, RepoTags } = fieldsOf(value, what);
    return {
      config: textOf(Config, `Config of ${what}`),
      layers: textsOf(Layers, `Layers of ${what}`),
      names: textsOf(RepoTags, `RepoTags of ${what}`),
    };
  });
}

function chooseByName(images: readonly SavedImage[], name: string | undefined): SavedImage {
  const wanted = name === undefined ? undefined : inFull(name);
  const chosen = images.filter(
    (image) => wanted === undefined || image.names.some((one) => inFull(one) === wanted),
  );
  const [image, another] = chosen;
  const known = `it has ${
    images
      .flatMap(({ names }) => names)
      .toSorted()
      .join(', ') || 'images without a name'
  }`;
  if (image === undefined)
    throw new OperationError(name === undefined ? 'it has no image' : `it has no image ${name}`, {
      hint: known,
    });
  if (another !== undefined)
    throw new OperationError('it has several images', {
      hint: `choose one with docker-archive:FILE:NAME:TAG; ${known}`,
    });
  return image;
}

/** Full form of a name: `alpine` and `docker.io/library/alpine:latest` are one. */
function inFull(name: string): string {
  const parsed = parseImageReference(`docker://${name}`, '/');
  return 'value' in parsed ? formatImageReference(parsed.value) : name;
}

/** Digest of a config; a file that is named after its digest has to have it. */
function checkName(file: string, digest: string): string {
  const hex = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(file)?.[1];
  if (hex === undefined || digest === `sha256:${hex}`) return digest;
  throw new OperationError(`config ${file.slice(0, 80)} has digest ${digest}`, {
    hint: 'the archive is damaged or was changed; save it again',
  });
}

/**
 * Descriptor of a layer. A plain layer has its diff id as digest, a compressed one mostly a name that says it: reading
 * the layer checks either. Only a compressed layer without such a name is hashed, each time that the image is looked
 * at.
 */
async function describeLayer(
  files: ArchiveFiles,
  file: string,
  diffId: string | undefined,
  signal: AbortSignal,
): Promise<Descriptor> {
  const size = files.sizeOf(file);
  if (size === undefined) throw new OperationError(`layer ${file.slice(0, 100)} is not in the archive`);
  if (diffId === undefined) throw new OperationError('its manifest.json names more layers than its config');
  const named = /(?:^|\/)sha256\/([0-9a-f]{64})$/.exec(file)?.[1];
  const suffix = SUFFIXES[await files.headOf(file)];
  if (suffix === undefined) return { mediaType: LAYER, size, digest: diffId };
  const digest = named ?? (await hashFile(files, file, signal));
  return { mediaType: `${LAYER}${suffix}`, size, digest: `sha256:${digest}` };
}

async function hashFile(files: ArchiveFiles, file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of (await files.open(file, signal)) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}

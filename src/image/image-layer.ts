// Layers of images: unpacked from their source into the store in one pass, which checks size and digest as stored,
// decompresses as the media type says, and checks the diff id and the entries on the way to GNU tar. A layer that is
// not as manifest and config say never becomes visible.
import type { Readable } from 'node:stream';
import { OperationError } from '../errors.ts';
import type { Compression } from '../host/archives.ts';
import { layerKey, parseDigest } from './digest.ts';
import type { Digest, ImageLayer } from './image.ts';
import { createLayerInspector, nameArchive } from './inspect-tar.ts';
import { followLayer } from './layer-progress.ts';
import { makeLayer } from './make-layer.ts';
import { layerPath } from './store.ts';
import { describeLayer, type LayerContext } from './unpack-tarball.ts';

const OCI = 'application/vnd.oci.image.layer';
const DOCKER = 'application/vnd.docker.image.rootfs';

/**
 * Compression by media type: OCI image spec, media-types.md; Docker's image manifest version 2, schema 2, and additions
 * of containers/image.
 */
const COMPRESSIONS: Readonly<Record<string, Compression>> = {
  [`${OCI}.v1.tar`]: 'none',
  [`${OCI}.v1.tar+gzip`]: 'gzip',
  [`${OCI}.v1.tar+zstd`]: 'zstd',
  [`${OCI}.nondistributable.v1.tar`]: 'none',
  [`${OCI}.nondistributable.v1.tar+gzip`]: 'gzip',
  [`${OCI}.nondistributable.v1.tar+zstd`]: 'zstd',
  [`${DOCKER}.diff.tar`]: 'none',
  [`${DOCKER}.diff.tar.gzip`]: 'gzip',
  [`${DOCKER}.diff.tar.zstd`]: 'zstd',
  [`${DOCKER}.foreign.diff.tar`]: 'none',
  [`${DOCKER}.foreign.diff.tar.gzip`]: 'gzip',
};

/** Makes a layer that is not in the store, under the key of its diff id; `source` is its name for people. */
export async function makeImageLayer(
  context: LayerContext,
  source: string,
  layer: ImageLayer,
  open: () => Promise<Readable>,
): Promise<void> {
  const { host, archives, dataDir, signal } = context;
  const { mediaType, digest, size } = layer.descriptor;
  const key = layerKey(layer.diffId);
  const compression = COMPRESSIONS[mediaType];
  if (compression === undefined) {
    throw new OperationError(`layer ${digest} of ${source} has the unknown media type ${mediaType}`, {
      hint: 'layers are tar archives, plain or compressed with gzip or zstd; convert the image with skopeo copy',
    });
  }
  const hashes = {
    stored: parseDigest(digest).algorithm,
    content: parseDigest(layer.diffId).algorithm,
  };
  const inspector = createLayerInspector(archives.limits);
  const follow = followLayer(context, key, size);
  try {
    await makeLayer(context, key, async (folder) => {
      const stream = await open();
      const found = await archives
        .unpackStream(stream, folder, { inspector, signal, passed: follow.passed, compression, size, hashes })
        .finally(() => stream.destroy());
      expectDigest('digest', digest, `${hashes.stored}:${found.stored}`);
      expectDigest('diff id', layer.diffId, `${hashes.content}:${found.content}`);
      return describeLayer(host, source, inspector.summary());
    });
  } catch (error) {
    throw nameArchive(error, `layer ${digest} of ${source}`);
  }
  follow.unpacked(`unpacked ${inspector.summary().entries} files into ${layerPath(dataDir, key)}`);
}

function expectDigest(what: string, wanted: Digest, found: Digest): void {
  if (found === wanted) return;
  throw new OperationError(`it has the ${what} ${found}`, {
    hint: `${wanted} was wanted: the image is damaged or was tampered with; fetch it again`,
  });
}

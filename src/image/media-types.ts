// Media types of documents and layers, OCI's and Docker's. A type that cannot be used is refused here with the reason,
// not found out later from the bytes.
import { OperationError } from '../errors.ts';
import type { Descriptor } from './image.ts';

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';

export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';

export const INDEXES: readonly string[] = [OCI_INDEX, DOCKER_INDEX];
export const MANIFESTS: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];

const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.v1|docker\.image\.rootfs\.diff)\.tar(?:[+.](?:gzip|zstd))?$/;
export const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/** @throws OperationError for a type that is neither a manifest nor an index. */
export function checkDocumentType(mediaType: string): void {
  if (INDEXES.includes(mediaType) || MANIFESTS.includes(mediaType)) return;
  if (SCHEMA_1.test(mediaType)) throw schema1();
  throw new OperationError(`it is no container image: its media type is ${mediaType}`);
}

export function schema1(): OperationError {
  return new OperationError(
    'it has a manifest of schema version 1, which says nothing about its layers that could be checked',
    {
      hint: 'push it again with a current Docker, Podman or skopeo',
    },
  );
}

export function checkConfigType({ mediaType }: Descriptor): void {
  if (mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG) return;
  throw new OperationError(`it is an artifact, not a container image: its config is ${mediaType}`);
}

export function checkLayerType({ mediaType, digest }: Descriptor): void {
  if (LAYER.test(mediaType)) return;
  if (/nondistributable|\.foreign\./.test(mediaType)) {
    throw new OperationError(`layer ${digest} may not be distributed: the registry does not have it`, {
      hint: 'images with such layers, as those of Windows, cannot be used',
    });
  }
  if (mediaType.endsWith('+encrypted')) {
    throw new OperationError(`layer ${digest} is encrypted`, {
      hint: 'decrypt it first: skopeo copy --decryption-key KEY',
    });
  }
  throw new OperationError(
    `layer ${digest} is no layer of a container image: its media type is ${mediaType}`,
  );
}

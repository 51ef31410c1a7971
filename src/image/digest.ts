// Digests as the OCI image spec writes them. Only what passes here may become part of a path or a URL.
import { sha256 } from '../crypto.ts';
import { OperationError } from '../errors.ts';
import { isDigest } from '../load/image-reference.ts';
import type { Digest } from './image.ts';

export interface ParsedDigest {
  readonly algorithm: 'sha256' | 'sha512';
  /** Lower-case hex. */
  readonly hex: string;
}

/** @throws OperationError when it is no digest that can be checked. */
export function parseDigest(digest: Digest): ParsedDigest {
  if (!isDigest(digest)) {
    throw new OperationError(`${JSON.stringify(digest.slice(0, 160))} is no sha256 or sha512 digest`, {
      hint: 'the image is damaged, or made by a tool that does not follow the OCI image spec',
    });
  }
  const [algorithm, hex] = digest.split(':') as ['sha256' | 'sha512', string];
  return { algorithm, hex };
}

/** Name in the store of the layer with this diff id: 64 hex digits, whatever the algorithm. */
export function layerKey(diffId: Digest): string {
  const { algorithm, hex } = parseDigest(diffId);
  return algorithm === 'sha256' ? hex : sha256(diffId);
}

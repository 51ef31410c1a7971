// JSON documents of images, read field by field, because no foreign document can be trusted to have its shape. Messages
// never quote a text: a hostile layout can make any file of the host look like a document.
import { createHash } from '../crypto.ts';
import { OperationError } from '../errors.ts';
import { isDigest } from '../load/image-reference.ts';
import type { Descriptor, Digest, Platform } from './image.ts';

/**
 * Bytes of the largest document. The distribution spec asks registries to take manifests of 4 MiB; real ones have some
 * kilobytes.
 */
export const DOCUMENT_LIMIT = 4 * 2 ** 20;

export type Fields = Readonly<Record<string, unknown>>;

export function parseDocument(bytes: Buffer, what: string): Fields {
  return fieldsOf(parseJson(bytes, what), what);
}

export function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError)
      throw new OperationError(`${what} is not JSON`);
    throw error;
  }
}

export function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new OperationError(`${what} is not a JSON object`);
  return value as Fields;
}

/** List of a field; absent and null are an empty list, as Go writes it. */
export function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new OperationError(`${what} is not a list`);
  return value;
}

export function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new OperationError(`${what} is not a text`);
  if (value.includes('\0')) throw new OperationError(`${what} contains a NUL byte`);
  return value;
}

export function textsOf(value: unknown, what: string): readonly string[] {
  return listOf(value, what).map((item, index) => textOf(item, `${what}[${index}]`));
}

export function digestOf(value: unknown, what: string): Digest {
  const digest = textOf(value, what);
  if (!isDigest(digest)) throw new OperationError(`${what} is not a sha256 or sha512 digest`);
  return digest;
}

export function parseDescriptor(value: unknown, what: string): Descriptor {
  const { mediaType, digest, size, platform } = fieldsOf(value, what);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw new OperationError(`size of ${what} is not a number of bytes`);
  return {
    mediaType: textOf(mediaType, `mediaType of ${what}`),
    digest: digestOf(digest, `digest of ${what}`),
    size,
    ...(platform === undefined || platform === null ? {} : { platform: parsePlatform(platform, what) }),
  };
}

/** Platform of a descriptor or a config: both use the same words. */
export function parsePlatform(value: unknown, what: string): Platform {
  const { os, architecture, variant } = fieldsOf(value, `platform of ${what}`);
  return {
    os: textOf(os, `os of ${what}`),
    architecture: textOf(architecture, `architecture of ${what}`),
    ...(typeof variant === 'string' && variant !== ''
      ? { variant: textOf(variant, `variant of ${what}`) }
      : {}),
  };
}

/** Short form of a digest, as in `sha256:0123456789ab`. */
export function shorten(digest: Digest): string {
  return digest.slice(0, digest.indexOf(':') + 13);
}

export function hashDocument(bytes: Buffer, algorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** @throws OperationError when the bytes are not those that the digest names. */
export function checkDigest(bytes: Buffer, digest: Digest, what: string): void {
  const found = hashDocument(bytes, digest.slice(0, digest.indexOf(':')));
  if (found === digest) return;
  throw new OperationError(`${what} has digest ${found}, not ${digest}`, {
    hint: 'it is damaged or was exchanged; copy or pull it again',
  });
}

/** @throws OperationError when the stream is longer than `limit`; the rest of it is not read. */
export async function readWhole(
  stream: AsyncIterable<unknown>,
  limit: number,
  what: string,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the stream.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new OperationError(`${what} is larger than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

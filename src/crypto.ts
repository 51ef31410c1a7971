// Digests and random names. node:crypto takes 3 ms to load: that is left to its first use, when programs of ours run.
import type Crypto from 'node:crypto';
import type { Hash } from 'node:crypto';

/** For whoever has nothing else to do just now. */
export function loadCrypto(): typeof Crypto {
  return process.getBuiltinModule('node:crypto');
}

export function createHash(algorithm: string): Hash {
  return loadCrypto().createHash(algorithm);
}

/** In hexadecimal digits. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** In hexadecimal digits, two a byte. */
export function randomHex(bytes: number): string {
  return loadCrypto().randomBytes(bytes).toString('hex');
}

// Digests and random names. node:crypto takes 3 ms to load: that is left to its first use, when programs of ours run.
import type { Hash } from 'node:crypto';

export function createHash(algorithm: string): Hash {
  return process.getBuiltinModule('node:crypto').createHash(algorithm);
}

/** In hexadecimal digits. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** In hexadecimal digits, two a byte. */
export function randomHex(bytes: number): string {
  return process.getBuiltinModule('node:crypto').randomBytes(bytes).toString('hex');
}

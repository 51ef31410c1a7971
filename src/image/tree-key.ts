// Turns trees and layers into keys: equal keys, equal content.
import type { TreeEntry } from '../host/archives.ts';
import { sha256 } from '../crypto.ts';

/**
 * Stands for the content of files without reading it: names, types, modes, owners and link targets; of files also
 * inode, size and times, of which nobody can set the ctime. Times of folders and symlinks stay out: they change when an
 * editor makes a swap file, and nothing in a container depends on them.
 */
export function describeTree(entries: readonly TreeEntry[]): readonly unknown[] {
  return entries.map(({ path, status, target }) => [
    path,
    status.type,
    status.mode,
    status.uid,
    status.gid,
    ...(status.type === 'file' ? [status.size, status.mtimeNs, ...identityOf(status)] : []),
    ...(target === undefined ? [] : [target]),
  ]);
}

/**
 * Identity of a tree, 32 hex digits: changes whenever anything in it may have changed, attributes of folders included.
 */
export function identityOfTree(entries: readonly TreeEntry[]): string {
  return sha256(JSON.stringify(entries.map(({ path, status }) => [path, ...identityOf(status)]))).slice(
    0,
    32,
  );
}

/** Time of the latest change in a tree, in nanoseconds since the epoch. */
export function lastChange(entries: readonly TreeEntry[]): bigint {
  return entries.map(({ status }) => BigInt(status.ctimeNs)).reduce((a, b) => (a > b ? a : b), 0n);
}

function identityOf({ device, inode, ctimeNs }: TreeEntry['status']): readonly unknown[] {
  return [device, inode, ctimeNs];
}

/**
 * Lower layers as part of the key of a layer whose paths lead through their symlinks: the keys of layers of the store,
 * the paths of folders used in place.
 */
export function describeLower(lower: readonly string[]): readonly string[] {
  return lower.map((path) => /\/images\/layers\/([0-9a-f]{64})$/.exec(path)?.[1] ?? path);
}

// Turns trees and layers into keys: equal keys, equal content. Contents of files are not read: size and
// modification time in nanoseconds stand for them, as they do for rsync and make.
import type { TreeEntry } from '../host/archives.ts';

/**
 * Names, types, modes, owners, link targets; size and time of files only. Times of folders and symlinks stay
 * out: they change when an editor makes a swap file, and nothing in a container depends on them.
 */
export function describeTree(entries: readonly TreeEntry[]): readonly unknown[] {
  return entries.map(({ path, status: { type, mode, uid, gid, size, mtimeNs }, target }) => [
    path,
    type,
    mode,
    uid,
    gid,
    ...(type === 'file' ? [size, mtimeNs] : []),
    ...(target === undefined ? [] : [target]),
  ]);
}

/**
 * Layers below, as they enter the key of a layer whose places are found through their symlinks: the keys of
 * layers of the store, the paths of folders used in place.
 */
export function describeLower(lower: readonly string[]): readonly string[] {
  return lower.map((path) => /\/images\/layers\/([0-9a-f]{64})$/.exec(path)?.[1] ?? path);
}

// Merged view of stacked layers, as overlayfs shows it: whiteouts, opaque folders, files over folders. By bytes, so
// that every name counts, and without a mount. Reads only.
import type { ByteString, LayerEntryType, LayerFiles } from '../host/packing.ts';

/** Marks that the names in a layer's folders cannot show. */
export interface LayerMarks {
  /** Whether the folder hides what the layers below have at its path. */
  isOpaque(root: string, path: ByteString): boolean;
}

/** A path of the merged tree. */
export interface Place {
  readonly path: ByteString;
  /** The layer whose entry is seen; absent when nothing is there. */
  readonly top?: { readonly root: string; readonly type: LayerEntryType };
  /** Layers whose folders merge here, topmost first; none when it is no folder. */
  readonly folders: readonly string[];
}

export interface LayerStack {
  readonly root: Place;
  child(parent: Place, name: ByteString): Place;
  /** Places seen in a folder, sorted. */
  children(parent: Place): readonly Place[];
}

/** @param roots lowest first. */
export function createLayerStack(
  files: LayerFiles,
  roots: readonly string[],
  marks: LayerMarks = { isOpaque: () => false },
): LayerStack {
  const child = (parent: Place, name: ByteString): Place => {
    const path = joinBytes(parent.path, name);
    const folders: string[] = [];
    for (const root of parent.folders) {
      const type = files.status(root, path)?.type;
      if (type === undefined) continue;
      if (type !== 'directory') {
        // An entry that is no folder hides all below; under a folder it only ends the merge.
        if (folders.length > 0 || type === 'whiteout') break;
        return { path, top: { root, type }, folders };
      }
      folders.push(root);
      if (marks.isOpaque(root, path)) break;
    }
    const [root] = folders;
    return root === undefined ? { path, folders } : { path, top: { root, type: 'directory' }, folders };
  };
  const children = (parent: Place): readonly Place[] => {
    const seen = new Map<ByteString, Place | undefined>();
    for (const root of parent.folders) {
      for (const { name, type } of files.list(root, parent.path) ?? []) {
        if (seen.has(name)) continue;
        if (type === 'directory') seen.set(name, child(parent, name));
        else if (type === 'whiteout') seen.set(name, undefined);
        else seen.set(name, { path: joinBytes(parent.path, name), top: { root, type }, folders: [] });
      }
    }
    return [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, place]) => place ?? []);
  };
  return { root: mergedRoot(roots, marks), child, children };
}

function mergedRoot(roots: readonly string[], marks: LayerMarks): Place {
  const folders = roots.toReversed();
  const last = folders.findIndex((root) => marks.isOpaque(root, ''));
  const merged = last === -1 ? folders : folders.slice(0, last + 1);
  const [root] = merged;
  return root === undefined
    ? { path: '', folders: [] }
    : { path: '', top: { root, type: 'directory' }, folders: merged };
}

export function joinBytes(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : `${folder}/${name}`;
}

/**
 * Files as given, but for one layer without those at these paths and below: something is mounted over them, and nobody
 * in the container has seen them.
 */
export function hidePaths(files: LayerFiles, layer: string, hidden: readonly ByteString[]): LayerFiles {
  const isHidden = (root: string, path: ByteString): boolean =>
    root === layer && hidden.some((folder) => path === folder || path.startsWith(`${folder}/`));
  return {
    list: (root, path) =>
      isHidden(root, path)
        ? undefined
        : files.list(root, path)?.filter(({ name }) => !isHidden(root, joinBytes(path, name))),
    status: (root, path) => (isHidden(root, path) ? undefined : files.status(root, path)),
  };
}

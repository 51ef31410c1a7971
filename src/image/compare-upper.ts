// Changes that a writable layer makes to the layers below it, as `docker diff` lists them: the entries of a new folder
// one by one, those of a deleted or replaced folder not at all. Pure over what the layers hold.
import type { ByteString, LayerEntry, LayerFiles, LayerPath } from '../host/packing.ts';
import { joinBytes, type LayerMarks, type LayerStack, type Place } from './layer-stack.ts';

export interface FileChange {
  /** `A` is added, `C` changed, `D` deleted. */
  readonly kind: 'A' | 'C' | 'D';
  /** Relative to the root. */
  readonly path: ByteString;
}

/** Entries that only their contents and extended attributes can tell apart. */
export interface AlikePair {
  readonly upper: LayerPath;
  readonly lower: LayerPath;
}

export interface Comparison {
  readonly changes: readonly FileChange[];
  readonly alike: readonly AlikePair[];
}

/** `upper` is a layer over `stack`; parents of changes are left to `withParents`. */
export function compareUpper(
  files: LayerFiles,
  upper: string,
  stack: LayerStack,
  marks: LayerMarks,
): Comparison {
  const changes: FileChange[] = [];
  const alike: AlikePair[] = [];
  const visit = (below: Place): void => {
    const names = files.list(upper, below.path) ?? [];
    // The root of the writable layer is never replaced, so it hides nothing.
    if (below.path !== '' && marks.isOpaque(upper, below.path)) {
      const kept = new Set(names.map(({ name }) => joinBytes(below.path, name)));
      for (const { path } of stack.children(below)) if (!kept.has(path)) changes.push({ kind: 'D', path });
    }
    for (const { name, type } of names) {
      const place = stack.child(below, name);
      const { path } = place;
      if (type === 'whiteout') {
        if (place.top !== undefined) changes.push({ kind: 'D', path });
        continue;
      }
      if (place.top === undefined) changes.push({ kind: 'A', path });
      else if (isAlike(files.status(upper, path), files.status(place.top.root, path)))
        alike.push({ upper: { root: upper, path }, lower: { root: place.top.root, path } });
      else changes.push({ kind: 'C', path });
      if (type === 'directory') visit(place);
    }
  };
  visit(stack.root);
  return { changes, alike };
}

/**
 * Whether two entries are alike as far as lstat(2) tells. The time of a folder does not count: it changes with the
 * entries in it, which are listed themselves.
 */
function isAlike(one: LayerEntry | undefined, other: LayerEntry | undefined): boolean {
  if (one === undefined || other === undefined || one.type !== other.type) return false;
  if (one.mode !== other.mode || one.uid !== other.uid || one.gid !== other.gid) return false;
  if (one.type === 'directory') return true;
  return (
    one.mtimeNs === other.mtimeNs &&
    one.size === other.size &&
    one.device === other.device &&
    one.target === other.target
  );
}

/** Changes sorted by path. Folders on the way to a change are changed themselves, as Docker has it. */
export function withParents(changes: readonly FileChange[]): readonly FileChange[] {
  const all = new Map(changes.map((change) => [change.path, change]));
  for (const { path } of changes) {
    for (let at = parentOf(path); at !== '' && !all.has(at); at = parentOf(at))
      all.set(at, { kind: 'C', path: at });
  }
  return [...all.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

/** Every folder of the writable layer, with those of the layers below at the same paths. */
export function* foldersAtUpper(
  files: LayerFiles,
  upper: string,
  lower: readonly string[],
  path: ByteString = '',
): Generator<LayerPath> {
  for (const { name, type } of files.list(upper, path) ?? []) {
    if (type !== 'directory') continue;
    const at = joinBytes(path, name);
    for (const root of [upper, ...lower]) {
      if (root === upper || files.status(root, at)?.type === 'directory') yield { root, path: at };
    }
    yield* foldersAtUpper(files, upper, lower, at);
  }
}

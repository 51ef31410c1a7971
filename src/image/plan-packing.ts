// Plan of an archive of a layer, or of all layers merged: which entries, and in which order. Folders come first,
// siblings sorted by bytes, the deletions of a folder before its entries (OCI image spec, layer.md). Lazy: a tree of
// any size is never held as a whole.
import type { ByteString, LayerFiles } from '../host/packing.ts';
import { createLayerStack, joinBytes, type LayerMarks, type LayerStack, type Place } from './layer-stack.ts';

export type Planned =
  | {
      readonly kind: 'entry';
      readonly root: string;
      readonly path: ByteString;
      /** Time instead of the entry's own: seconds, as pax spells them. */
      readonly mtime?: string;
      /** True when a folder of the same path is below: if this one is opaque, the archive has to say so. */
      readonly merges: boolean;
    }
  /** `name` is gone from `folder`; an empty name means everything that the layers below have there. */
  | { readonly kind: 'whiteout'; readonly folder: ByteString; readonly name: ByteString };

export interface LayerToPack {
  readonly root: string;
  /** Layers below, lowest first. */
  readonly below: readonly string[];
  /** Folders that no archive listed, made because something lies in them. */
  readonly implied: ReadonlySet<ByteString>;
  /** True when the layer hides all layers below. */
  readonly opaqueRoot: boolean;
  /** The layer of mount points above `below`, in which runspec made folders. */
  readonly mountpoints?: string;
}

export function* planLayer(files: LayerFiles, layer: LayerToPack): Generator<Planned> {
  const below = createLayerStack(files, layer.below);
  if (layer.opaqueRoot) yield { kind: 'whiteout', folder: '', name: '' };
  const own = files.status(layer.root, '');
  // The root folder gets an entry only when it is unlike those that runspec makes: then somebody changed it.
  if (own !== undefined && (own.mode !== 0o755 || own.uid !== 0 || own.gid !== 0)) {
    yield { kind: 'entry', root: layer.root, path: '', merges: false };
  }
  yield* planFolder(files, layer, below, below.root);
}

function* planFolder(
  files: LayerFiles,
  layer: LayerToPack,
  below: LayerStack,
  place: Place,
): Generator<Planned> {
  const { root, implied } = layer;
  const names = (files.list(root, place.path) ?? []).filter(({ type }) => type !== 'socket');
  for (const { name, type } of names) {
    // A name that only the layer of mount points had is not in the image, and needs no deletion.
    if (type === 'whiteout' && below.child(place, name).top !== undefined) {
      yield { kind: 'whiteout', folder: place.path, name };
    }
  }
  for (const { name, type } of names) {
    const path = joinBytes(place.path, name);
    if (type === 'whiteout') continue;
    if (type !== 'directory') {
      yield { kind: 'entry', root, path, merges: false };
      continue;
    }
    const under = below.child(place, name);
    if (!implied.has(path)) {
      const mtime = originalTime(files, layer, under);
      yield { kind: 'entry', root, path, merges: under.folders.length > 0, ...mtime };
    }
    yield* planFolder(files, layer, below, under);
  }
}

/**
 * Time of the image's own folder, for one that was copied up from the layer of mount points and not changed since: its
 * time is that at which runspec made it there, and the image's own is the same for every container.
 */
function originalTime(
  files: LayerFiles,
  { root, mountpoints }: LayerToPack,
  under: Place,
): { readonly mtime?: string } {
  if (mountpoints === undefined) return {};
  const made = files.status(mountpoints, under.path);
  if (made === undefined || made.mtimeNs !== files.status(root, under.path)?.mtimeNs) return {};
  const original = under.folders[0] === undefined ? undefined : files.status(under.folders[0], under.path);
  return { mtime: paxTime(original?.mtimeNs ?? '0') };
}

export interface MergeMarks extends LayerMarks {
  /** Whether the layer has the folder only because something lies in it. */
  isImplied(root: string, path: ByteString): boolean;
}

/**
 * Types that a merged archive leaves out: a container gets its own devices, and runspec takes an archive with devices
 * only as the layer of an image.
 */
const LEFT_OUT: ReadonlySet<string> = new Set(['socket', 'character', 'block']);

/** The tree that layers show together, without whiteouts, sockets and devices. `roots`: lowest first. */
export function* planMerged(
  files: LayerFiles,
  roots: readonly string[],
  marks: MergeMarks,
): Generator<Planned> {
  const stack = createLayerStack(files, roots, marks);
  yield* planMergedFolder(stack, stack.root, marks);
}

function* planMergedFolder(stack: LayerStack, place: Place, marks: MergeMarks): Generator<Planned> {
  const { path, folders } = place;
  const root = folders.find((one) => !marks.isImplied(one, path)) ?? folders[0];
  if (root !== undefined) yield { kind: 'entry', root, path, merges: false };
  for (const child of stack.children(place)) {
    if (child.top === undefined || LEFT_OUT.has(child.top.type)) continue;
    if (child.folders.length > 0) yield* planMergedFolder(stack, child, marks);
    else yield { kind: 'entry', root: child.top.root, path: child.path, merges: false };
  }
}

/** Nanoseconds as seconds of pax, without zeros at the end, as in `1700000000.25`. */
export function paxTime(nanoseconds: string): string {
  const digits = nanoseconds.replace('-', '').padStart(10, '0');
  const sign = nanoseconds.startsWith('-') ? '-' : '';
  return sign + trimTime(`${digits.slice(0, -9)}.${digits.slice(-9)}`);
}

export function trimTime(seconds: string): string {
  return seconds.includes('.') ? seconds.replace(/\.?0+$/, '') : seconds;
}

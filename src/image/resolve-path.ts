// Finds where a path leads inside stacked layers, the way the kernel will once they are one overlay. Host
// symlinks are never followed: every step looks only below folders that are known to be real ones.
import { OperationError } from '../errors.ts';
import type { FileStatus, Host } from '../host/host.ts';
import { readLayerNote, visibleLayers } from './store.ts';

/** MAXSYMLINKS of Linux. */
const MAX_LINKS = 40;

export interface PathStep {
  readonly name: string;
  /** Status in the merged view; absent when nothing is there. A symlink only as the last step, unfollowed. */
  readonly status?: FileStatus;
}

export interface ResolvedPath {
  /** Absolute path in the container, with no symlink in any component that exists. */
  readonly path: string;
  readonly steps: readonly PathStep[];
}

export interface ResolveOptions {
  /** False leaves a symlink in the last component as it is. */
  readonly followLast?: boolean;
}

/** Part that one layer has in a merged folder. */
interface Part {
  readonly layer: string;
  /** Path relative to the layer, `''` for its root. */
  readonly relative: string;
  readonly opaque: ReadonlySet<string>;
  /** Folders that take their attributes from a layer below. */
  readonly implied: ReadonlySet<string>;
}

/** A folder of the merged view, or a place where none is. */
interface Place extends PathStep {
  /** Layers that contribute to it, topmost first; empty when it is no folder. */
  readonly parts: readonly Part[];
  /** The layer whose attributes a folder has: the topmost that lists it, else the topmost that uses it. */
  readonly source?: string;
}

/** A place before a symlink in it is followed. */
interface Found extends Place {
  readonly link?: string;
  /** Where what is seen lies on the host. */
  readonly hostPath?: string;
}

/** Origin of a folder of the merged view: the layers of its content, topmost first, and the layer of its attributes. */
export interface FolderOrigin {
  readonly layers: readonly string[];
  readonly source: string;
}

/** Stacked layers, merged as the kernel will merge them. Look-ups are remembered: the layers must not change. */
export interface MergedLayers {
  /**
   * Resolves a path. Missing parts, dangling targets included, resolve literally.
   * @throws OperationError for a loop of symlinks.
   */
  resolve(path: string, options?: ResolveOptions): Promise<ResolvedPath>;
  /** @param path of a folder, relative to the root, unfollowed; undefined where none is seen. */
  originOf(path: string): Promise<FolderOrigin | undefined>;
  /** What is seen at a path, relative to the root, unfollowed; undefined for nothing. */
  entryAt(path: string): Promise<LayeredEntry | undefined>;
}

export interface LayeredEntry {
  /** Of a folder: that whose attributes it has. */
  readonly hostPath: string;
  readonly status: FileStatus;
}

/** @param lower layer folders, lowest first. */
export async function mergeLayers(host: Host, lower: readonly string[]): Promise<MergedLayers> {
  const root: Found = { name: '', parts: await openLayers(host, lower) };
  const known = new Map<string, Promise<Found>>([['', Promise.resolve(root)]]);
  const find = async (path: string): Promise<Found> => {
    const slash = path.lastIndexOf('/');
    const parent = await recall(slash === -1 ? '' : path.slice(0, slash));
    return lookUp(host, parent, path.slice(slash + 1));
  };
  const recall = (path: string): Promise<Found> => {
    const found = known.get(path) ?? find(path);
    known.set(path, found);
    return found;
  };
  return {
    resolve: (path, options) => follow(recall, path, options),
    async originOf(path) {
      const { parts, source } = await recall(path);
      return source === undefined ? undefined : { layers: parts.map(({ layer }) => layer), source };
    },
    async entryAt(path) {
      const found = await recall(path);
      // The root is that of the topmost layer.
      const hostPath = found.hostPath ?? found.parts[0]?.layer;
      const status = found.status ?? (hostPath === undefined ? undefined : await host.status(hostPath));
      return hostPath === undefined || status === undefined ? undefined : { hostPath, status };
    },
  };
}

/** Resolves one path in layers that may change afterwards. */
export async function resolveInLayers(
  host: Host,
  lower: readonly string[],
  path: string,
  options?: ResolveOptions,
): Promise<ResolvedPath> {
  return (await mergeLayers(host, lower)).resolve(path, options);
}

async function follow(
  find: (path: string) => Promise<Found>,
  path: string,
  { followLast = true }: ResolveOptions = {},
): Promise<ResolvedPath> {
  const walked: Place[] = [];
  const todo = path.split('/');
  for (let links = 0; ;) {
    const name = todo.shift();
    if (name === undefined) break;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      walked.pop();
      continue;
    }
    const place = await find([...walked.map((one) => one.name), name].join('/'));
    const last = todo.every((part) => part === '' || part === '.');
    if (place.link === undefined || (last && !followLast)) {
      walked.push(place);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) {
      throw new OperationError(`${path} runs in a loop of symlinks in the image`, {
        hint: 'choose another path, or mend the symlinks in a layer above',
      });
    }
    if (place.link.startsWith('/')) walked.length = 0;
    todo.unshift(...place.link.split('/'));
  }
  const steps = walked.map(({ name, status }) => (status === undefined ? { name } : { name, status }));
  return { path: `/${steps.map((step) => step.name).join('/')}`, steps };
}

async function openLayers(host: Host, lower: readonly string[]): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for (const layer of (await visibleLayers(host, lower)).toReversed()) {
    const { opaque, implied } = (await readLayerNote(host, layer))?.folders ?? {};
    parts.push({ layer, relative: '', opaque: new Set(opaque), implied: new Set(implied) });
  }
  return parts;
}

async function lookUp(host: Host, parent: Place, name: string): Promise<Found> {
  const parts: Part[] = [];
  let shown: Shown | undefined;
  let opaque = false;
  for (const part of parent.parts) {
    const relative = part.relative === '' ? name : `${part.relative}/${name}`;
    const path = `${part.layer}/${relative}`;
    const status = await host.status(path);
    if (status === undefined) continue;
    // A folder merges with the folders right below it; anything else hides all below, or ends the merge.
    if (status.type !== 'directory') {
      if (shown !== undefined || isWhiteout(status)) break;
      return {
        name,
        status,
        hostPath: path,
        parts: [],
        ...(status.type === 'symlink' ? { link: await host.readLink(path) } : {}),
      };
    }
    const implied = part.implied.has(relative);
    if (shown === undefined || (shown.implied && !implied))
      shown = { status, layer: part.layer, path, implied };
    if (!opaque) parts.push({ ...part, relative });
    opaque ||= part.opaque.has(relative);
    // Layers below an opaque folder count for its attributes only.
    if (opaque && !shown.implied) break;
  }
  if (shown === undefined) return { name, parts: [] };
  return { name, status: shown.status, source: shown.layer, hostPath: shown.path, parts };
}

/** A folder of the merged view, as the layer has it that gives its attributes. */
interface Shown {
  readonly status: FileStatus;
  readonly layer: string;
  readonly path: string;
  readonly implied: boolean;
}

/** A character device 0:0 says that the lower layers' entry is gone. */
function isWhiteout(status: FileStatus): boolean {
  return status.type === 'character' && status.rdev?.major === 0 && status.rdev.minor === 0;
}

// Store of this machine's layers: <data-dir>/images/layers/<key>/ is an unpacked tree, <key>.json beside it its note. A
// layer is made below tmp and renamed when it is whole; it never changes afterwards.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { removeStaleFolders, withWorkFolder } from './work-folder.ts';
import type { LayerFolders } from './whiteouts.ts';

export interface LayerNote {
  /** Path, URL or description, for people. */
  readonly source: string;
  readonly entries: number;
  /** Bytes of its files. */
  readonly size: number;
  /** Bytes of the archive that it was unpacked from; absent when it was none, and in notes of earlier builds. */
  readonly stored?: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Facts about folders that the tree cannot express; absent when there are none. */
  readonly folders?: LayerFolders;
}

export interface StorePaths {
  readonly root: string;
  readonly layers: string;
  /** Work in progress, one folder for each piece, named after its process. */
  readonly work: string;
  /** Hashes that unpinned URLs had when they were last fetched. */
  readonly references: string;
  /** Records of images as they were when last pulled. */
  readonly tags: string;
  /** Hashes of local archives, so that unchanged ones are not read again. */
  readonly hashes: string;
  readonly locks: string;
  /** Short names of layers, for mounts of so many that whole paths do not fit: 16 digits -> ../layers/<key>. */
  readonly links: string;
}

export function storePaths(dataDir: string): StorePaths {
  const root = `${dataDir}/images`;
  const below = (name: string): string => `${root}/${name}`;
  return {
    root,
    layers: below('layers'),
    work: below('tmp'),
    references: below('refs'),
    tags: below('tags'),
    hashes: below('hashes'),
    locks: below('locks'),
    links: below('l'),
  };
}

export function layerPath(dataDir: string, key: string): string {
  return `${storePaths(dataDir).layers}/${key}`;
}

export function notePath(dataDir: string, key: string): string {
  return `${layerPath(dataDir, key)}.json`;
}

/**
 * Note of a layer; undefined for a folder that is no layer of the store, and for a layer that a script of
 * `plan --script` made, which has no note.
 * @throws OperationError when the note is damaged: files that the layer hides would be there again.
 */
export async function readLayerNote(host: Host, layer: string): Promise<LayerNote | undefined> {
  const note = await parseNote(host, layer);
  if (note !== 'damaged') return note;
  const key = layer.slice(layer.lastIndexOf('/') + 1).slice(0, 12);
  throw new OperationError(`${layer}.json is damaged: it is not known which files below it the layer hides`, {
    hint: `take down the containers that use the layer, and have it made again: runspec image rm ${key}`,
  });
}

/** Note of a layer, to show what is in the store; undefined also when it is damaged. */
export async function findLayerNote(host: Host, layer: string): Promise<LayerNote | undefined> {
  const note = await parseNote(host, layer);
  return note === 'damaged' ? undefined : note;
}

/** A note is written whole before its layer has its name; it can be damaged only later. */
async function parseNote(host: Host, layer: string): Promise<LayerNote | 'damaged' | undefined> {
  if (!/\/images\/layers\/[0-9a-f]{64}$/.test(layer)) return undefined;
  const text = await host.readText(`${layer}.json`);
  if (text === undefined) return undefined;
  try {
    const note = JSON.parse(text) as unknown;
    return typeof note === 'object' && note !== null ? (note as LayerNote) : 'damaged';
  } catch (error) {
    if (error instanceof SyntaxError) return 'damaged';
    throw error;
  }
}

/** Layers for an overlay, lowest first, without those that a layer above hides whole. */
export async function visibleLayers(host: Host, lower: readonly string[]): Promise<readonly string[]> {
  for (let index = lower.length - 1; index > 0; index--) {
    const note = await readLayerNote(host, lower[index] ?? '');
    if (note?.folders?.opaqueRoot === true) return lower.slice(index);
  }
  return lower;
}

export async function hasLayer(host: Host, dataDir: string, key: string): Promise<boolean> {
  return (await host.status(layerPath(dataDir, key)))?.type === 'directory';
}

/**
 * Makes the store's folders. Only root may enter: a setuid file of some image must not become a program that
 * every user of this machine can run.
 * @throws OperationError when the store is open to others.
 */
export async function openStore(host: Host, dataDir: string): Promise<StorePaths> {
  const paths = storePaths(dataDir);
  for (const path of foldersTo(dataDir)) {
    if ((await host.status(path)) === undefined) await host.makeDirectory(path, { mode: 0o755 });
  }
  for (const path of Object.values<string>({ ...paths })) {
    if (await host.makeDirectory(path, { mode: 0o700 })) continue;
    const found = await host.status(path);
    if (found?.type === 'directory' && found.uid === 0 && (found.mode & 0o077) === 0) continue;
    const what =
      found?.type === 'directory' ? `mode ${found.mode.toString(8)} of user ${found.uid}` : 'no folder';
    throw new OperationError(`the image store ${path} is open to others (${what})`, {
      hint: `make it root's alone: chown root ${path} && chmod 700 ${path}`,
    });
  }
  return paths;
}

function foldersTo(path: string): readonly string[] {
  const parts = path.split('/').slice(1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

/** Runs `task` with a private folder in the store, which is gone afterwards. */
export async function withWork<T>(
  host: Host,
  dataDir: string,
  task: (folder: string) => Promise<T>,
): Promise<T> {
  const { work } = await openStore(host, dataDir);
  return withWorkFolder(host, work, task);
}

/**
 * Writes a small file of the store whole, or not at all, through a work folder of its own: the remains of a killed
 * write are then known as no living process's work, and removed.
 */
export async function writeStored(host: Host, dataDir: string, path: string, text: string): Promise<void> {
  await withWork(host, dataDir, (work) => writeVia(host, work, path, text));
}

/** Writes a small file of the store whole, through a work folder that exists already. */
export async function writeVia(host: Host, work: string, path: string, text: string): Promise<void> {
  await host.writeAtomic(path, text, { via: `${work}/whole` });
}

/** Names of the folders in which something is being made, or was when its process was killed. */
export async function listWork(host: Host, dataDir: string): Promise<readonly string[]> {
  return (await host.list(storePaths(dataDir).work)) ?? [];
}

/** Removes what killed processes left unfinished. Cheap; never touches the work of a live one. */
export async function removeStaleWork(host: Host, dataDir: string): Promise<readonly string[]> {
  // Only runspec writes here: a name that does not look like work is wreckage too.
  return removeStaleFolders(host, storePaths(dataDir).work, '', await listWork(host, dataDir));
}

// Content of the store, who uses it, and removal of what nobody uses.
import { UNFINISHED_WRITE, type Host } from '../host/host.ts';
import { isComplete, keysOf, listTags, removeTag, tagKey } from './image-records.ts';
import { withStoreNames, type StoreContext } from './store-lock.ts';
import {
  layerPath,
  findLayerNote,
  notePath,
  removeStaleWork,
  storePaths,
  withWork,
  type LayerNote,
} from './store.ts';

export interface StoredLayer {
  readonly key: string;
  /** Absent when the note is lost or damaged; the files of the layer are still whole. */
  readonly note?: LayerNote;
  /** Names of containers, or `a mount` when only the kernel knows it. */
  readonly usedBy: readonly string[];
  /** References of images that were pulled. */
  readonly taggedBy: readonly string[];
}

export interface StoredImage {
  readonly reference: string;
  readonly digest: string;
  /** Keys of the image's layers, lowest first. */
  readonly layers: readonly string[];
  /** Names of containers that were made from the image. */
  readonly usedBy: readonly string[];
}

const KEY = /[0-9a-f]{64}/g;
const LINK = /(?<=[=:]l\/)([0-9a-f]{16})\b/g;

export async function listLayers(host: Host, dataDir: string): Promise<readonly StoredLayer[]> {
  const names = (await host.list(storePaths(dataDir).layers)) ?? [];
  const users = readUsers(
    await readRecords(host, dataDir),
    await readMounts(host),
    await readLinks(host, dataDir),
  );
  const tags = await listTags(host, dataDir);
  const keys = names.filter((name) => /^[0-9a-f]{64}$/.test(name));
  return Promise.all(
    keys.map(async (key) => {
      const note = await findLayerNote(host, layerPath(dataDir, key));
      const taggedBy = tags.filter((image) => keysOf(image).includes(key)).map((image) => image.reference);
      return { key, usedBy: users.get(key) ?? [], taggedBy, ...(note === undefined ? {} : { note }) };
    }),
  );
}

export async function listImages(host: Host, dataDir: string): Promise<readonly StoredImage[]> {
  const records = await readRecords(host, dataDir);
  return (await listTags(host, dataDir)).map((image) => {
    const named = JSON.stringify(image.reference);
    const users = records.filter(({ text }) => text.includes(named));
    const { reference, digest } = image;
    return { reference, digest, layers: keysOf(image), usedBy: users.map(({ container }) => container) };
  });
}

interface ContainerText {
  readonly container: string;
  readonly text: string;
}

/** Records are searched as text: whatever their format or state, a layer or image that they name stays. */
async function readRecords(host: Host, dataDir: string): Promise<readonly ContainerText[]> {
  const containers = `${dataDir}/containers`;
  return Promise.all(
    ((await host.list(containers)) ?? []).map(async (container) => {
      const files = ['plan.json', 'pending.json'].map((file) => `${containers}/${container}/${file}`);
      const texts = await Promise.all(files.map((file) => host.readText(file)));
      return { container, text: texts.join('\n') };
    }),
  );
}

async function readMounts(host: Host): Promise<string> {
  return (await host.readText('/proc/self/mountinfo')) ?? '';
}

/** Users by the key of a layer. Live mounts count too, in case a record was lost. */
function readUsers(
  records: readonly ContainerText[],
  mounts: string,
  linked: ReadonlyMap<string, string>,
): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const { container, text } of records) {
    for (const key of new Set(text.match(KEY))) users.set(key, [...(users.get(key) ?? []), container]);
  }
  // Mounts of very many layers name them by their links.
  const named = [...mounts.matchAll(LINK)].flatMap(([, link]) => linked.get(link ?? '') ?? []);
  for (const key of new Set([...(mounts.match(KEY) ?? []), ...named])) {
    if (!users.has(key)) users.set(key, ['a mount']);
  }
  return users;
}

/** Keys by the short links that lead to them. */
async function readLinks(host: Host, dataDir: string): Promise<ReadonlyMap<string, string>> {
  const { links } = storePaths(dataDir);
  const keys = new Map<string, string>();
  for (const name of (await host.list(links)) ?? []) {
    const key = (await host.readLink(`${links}/${name}`)).match(KEY)?.[0];
    if (key !== undefined) keys.set(name, key);
  }
  return keys;
}

export interface CollectContext extends StoreContext {
  /** Runs `task` while no other runspec makes or takes down containers. */
  exclusively<T>(task: () => Promise<T>): Promise<T>;
}

/**
 * Runs `task`, which may take layers out of the store, while no other process begins to use any: a layer that it found
 * unused stays so. The taken layers are deleted after the locks are released, as that may take long.
 */
export async function withRemoval<T>(
  context: CollectContext,
  task: (take: (key: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const { host, dataDir } = context;
  return withWork(host, dataDir, (work) => {
    // Renamed away first, so that no half of a layer is ever found under its key.
    const take = async (key: string): Promise<void> => {
      await host.rename(layerPath(dataDir, key), `${work}/${key}`);
      await host.removeFile(notePath(dataDir, key));
    };
    return context.exclusively(() => withStoreNames(context, () => task(take)));
  });
}

export interface Collected {
  readonly layers: readonly StoredLayer[];
  /** Leftovers of killed processes, and small files about layers that are gone. */
  readonly leftovers: number;
}

/** Removes layers that no container and no tag refers to, and leftovers that have become useless. */
export async function collectGarbage(context: CollectContext): Promise<Collected> {
  const { host, dataDir } = context;
  if ((await host.status(storePaths(dataDir).root)) === undefined) return { layers: [], leftovers: 0 };
  const stale = await removeStaleWork(host, dataDir);
  return withRemoval(context, async (take) => {
    const untagged = await removeIncompleteTags(host, dataDir);
    const unused = (await listLayers(host, dataDir)).filter((layer) => !isUsed(layer));
    for (const { key } of unused) await take(key);
    const orphans = await removeOrphans(host, dataDir);
    return { layers: unused, leftovers: stale.length + untagged + orphans };
  });
}

export function isUsed({ usedBy, taggedBy }: StoredLayer): boolean {
  return usedBy.length > 0 || taggedBy.length > 0;
}

/** Removes tags that killed pulls left: not all of their layers are there, and no process is pulling them now. */
async function removeIncompleteTags(host: Host, dataDir: string): Promise<number> {
  let removed = 0;
  for (const image of await listTags(host, dataDir)) {
    if (await isComplete(host, dataDir, image)) continue;
    const lock = await host.lock(`${storePaths(dataDir).locks}/${tagKey(image.reference)}`, 0);
    if (lock === undefined) continue;
    if (await removeTag(host, dataDir, image.reference)) removed += 1;
    await lock.release();
  }
  return removed;
}

/** Removes records, references, links and remembered hashes whose layer is gone, and locks that nobody holds. */
async function removeOrphans(host: Host, dataDir: string): Promise<number> {
  const { layers, references, tags, hashes, locks } = storePaths(dataDir);
  let removed = 0;
  // Unfinished files of a runspec that wrote there without a work folder.
  for (const folder of [layers, references, tags, hashes])
    for (const name of (await host.list(folder)) ?? [])
      if (name.endsWith(UNFINISHED_WRITE) && (await host.removeFile(`${folder}/${name}`))) removed += 1;
  const names = (await host.list(layers)) ?? [];
  const kept = new Set(names.filter((name) => !name.endsWith('.json')));
  for (const name of names) {
    const key = name.endsWith('.json') ? name.slice(0, -5) : undefined;
    if (key !== undefined && !kept.has(key) && (await host.removeFile(`${layers}/${name}`))) removed += 1;
  }
  for (const folder of [references, hashes]) {
    for (const name of (await host.list(folder)) ?? []) {
      const key = (await host.readText(`${folder}/${name}`))?.match(KEY)?.[0];
      if ((key === undefined || !kept.has(key)) && (await host.removeFile(`${folder}/${name}`))) removed += 1;
    }
  }
  for (const [name, key] of await readLinks(host, dataDir)) {
    const path = `${storePaths(dataDir).links}/${name}`;
    if (!kept.has(key) && (await host.removeFile(path))) removed += 1;
  }
  for (const name of (await host.list(locks)) ?? []) {
    const lock = await host.lock(`${locks}/${name}`, 0);
    if (lock === undefined) continue;
    await host.removeFile(`${locks}/${name}`);
    await lock.release();
  }
  return removed;
}

// What lies in the store, who uses it, and taking out what nobody does.
import type { Host } from '../host/host.ts';
import {
  layerPath,
  readRecord,
  recordPath,
  removeStaleWork,
  storePaths,
  withWork,
  type LayerRecord,
} from './store.ts';

export interface StoredLayer {
  readonly key: string;
  /** Absent when the record was lost; the layer is whole nevertheless. */
  readonly record?: LayerRecord;
  /** Names of containers, or `a mount` when only the kernel knows it. */
  readonly usedBy: readonly string[];
}

const KEY = /[0-9a-f]{64}/g;
const LINK = /(?<=[=:]l\/)([0-9a-f]{16})\b/g;

export async function listLayers(host: Host, dataDir: string): Promise<readonly StoredLayer[]> {
  const names = (await host.list(storePaths(dataDir).layers)) ?? [];
  const users = await readUsers(host, dataDir);
  const keys = names.filter((name) => /^[0-9a-f]{64}$/.test(name));
  return Promise.all(
    keys.map(async (key) => {
      const record = await readRecord(host, layerPath(dataDir, key));
      return { key, usedBy: users.get(key) ?? [], ...(record === undefined ? {} : { record }) };
    }),
  );
}

/**
 * Users by key. Records are searched as text: whatever their format or state, a layer they name stays. Live
 * mounts count too, in case a record was lost.
 */
async function readUsers(host: Host, dataDir: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const users = new Map<string, string[]>();
  const note = (text: string, user: string): void => {
    for (const key of new Set(text.match(KEY))) users.set(key, [...(users.get(key) ?? []), user]);
  };
  const containers = `${dataDir}/containers`;
  for (const name of (await host.list(containers)) ?? []) {
    const files = await Promise.all(
      ['plan.json', 'pending.json'].map(
        async (file) => (await host.readText(`${containers}/${name}/${file}`)) ?? '',
      ),
    );
    note(files.join('\n'), name);
  }
  const mounts = (await host.readText('/proc/self/mountinfo')) ?? '';
  // Mounts of very many layers name them by their links.
  const linked = await readLinks(host, dataDir);
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

/** Takes layers out: renamed away first, so that no half of one is ever found under its key. */
export async function removeLayers(host: Host, dataDir: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  await withWork(host, dataDir, async (work) => {
    for (const key of keys) {
      await host.rename(layerPath(dataDir, key), `${work}/${key}`);
      await host.removeFile(recordPath(dataDir, key));
    }
  });
}

export interface Collected {
  readonly layers: readonly StoredLayer[];
  /** Leftovers of killed processes, and small files about layers that are gone. */
  readonly leftovers: number;
}

/** Removes layers that no container refers to, and whatever else has become useless. */
export async function collectGarbage(host: Host, dataDir: string): Promise<Collected> {
  if ((await host.status(storePaths(dataDir).root)) === undefined) return { layers: [], leftovers: 0 };
  const layers = await listLayers(host, dataDir);
  const unused = layers.filter((layer) => layer.usedBy.length === 0);
  await removeLayers(
    host,
    dataDir,
    unused.map((layer) => layer.key),
  );
  const stale = await removeStaleWork(host, dataDir);
  const kept = new Set(layers.filter((layer) => layer.usedBy.length > 0).map((layer) => layer.key));
  return { layers: unused, leftovers: stale.length + (await removeOrphans(host, dataDir, kept)) };
}

/** Records, references, links and remembered hashes whose layer is gone, and locks that nobody holds. */
async function removeOrphans(host: Host, dataDir: string, kept: ReadonlySet<string>): Promise<number> {
  const { layers, references, hashes, locks } = storePaths(dataDir);
  let removed = 0;
  for (const name of (await host.list(layers)) ?? []) {
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

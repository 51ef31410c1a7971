// Remembers the sha256 of local archives and folders by inode, size and time, so that a second apply of a large
// one need not read it. Looked up by plan, written by apply only.
import { sha256 } from '../crypto.ts';
import type { Archives } from '../host/archives.ts';
import type { FileStatus, Host } from '../host/host.ts';
import { hasLayer, storePaths, writeStored } from './store.ts';

/**
 * Age in nanoseconds from which a change time is trusted: a file written within the same tick of the clock after it was
 * hashed would keep its time. 20 ms is five ticks.
 */
const TICK_NS = 20_000_000n;

export interface HashScope {
  readonly host: Host;
  readonly archives: Archives;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  /** Whether this process has locked the host. */
  readonly mayWrite: boolean;
}

/** Content that is expensive to read, and what identifies it. */
export interface Source {
  /** Name of the place; equal for the same place. */
  readonly name: string;
  /**
   * Identity of the content: another one whenever the content may be another. Shorter than the hash of a layer, by
   * which the store finds references to it.
   */
  readonly identity: string;
  /** Time of the last change, in nanoseconds since the epoch. */
  readonly changedNs: bigint;
}

export function hashArchive(scope: HashScope, path: string, status: FileStatus): Promise<string> {
  const { archives, signal } = scope;
  return hashOnce(scope, sourceOf(path, status), async () => (await archives.hash(path, signal)).sha256);
}

/**
 * Key of the layer with this content, from memory while the source is unchanged. Also remembers a source whose content
 * is that of a layer made from another source, as nobody else would.
 */
export async function hashOnce(
  { host, archives, dataDir, mayWrite }: HashScope,
  source: Source,
  read: () => Promise<string>,
): Promise<string> {
  const remembered = await host.readText(cachePath(dataDir, source));
  const [identity, hash] = remembered?.trim().split(' ') ?? [];
  if (identity === source.identity && hash !== undefined && /^[0-9a-f]{64}$/.test(hash)) return hash;
  const { hash: found, at } = await take(host, archives, source, read);
  if (mayWrite && (await hasLayer(host, dataDir, found))) {
    await rememberHash(host, dataDir, source, at, found);
    taken.get(archives)?.delete(keyOf(source));
  }
  return found;
}

export function sourceOf(path: string, { device, inode, size, mtimeNs, ctimeNs }: FileStatus): Source {
  const identity = [device, inode, size, mtimeNs, ctimeNs].join(':');
  return { name: path, identity, changedNs: BigInt(ctimeNs) };
}

interface Taken {
  readonly hash: string;
  /** Time at which the reading began, in milliseconds since the epoch. */
  readonly at: number;
}

/**
 * Hashes taken by this process, so that neither twenty specs of one archive nor a second look at them read it again.
 */
const taken = new WeakMap<Archives, Map<string, Promise<Taken>>>();

/** Whether this process has read anything whose hash is not remembered. */
export function hasFreshHashes(archives: Archives): boolean {
  return (taken.get(archives)?.size ?? 0) > 0;
}

function take(host: Host, archives: Archives, source: Source, read: () => Promise<string>): Promise<Taken> {
  const known = taken.get(archives) ?? new Map<string, Promise<Taken>>();
  taken.set(archives, known);
  const key = keyOf(source);
  const earlier = known.get(key);
  if (earlier !== undefined) return earlier;
  const at = host.now();
  const taking = read().then((hash) => ({ hash, at }));
  known.set(key, taking);
  const forget = (): void => void known.delete(key);
  // Forgotten when the source may be written again without a new time: a later look has to read it anew.
  taking.then(() => mayChangeUnseen(source, at) && forget(), forget);
  return taking;
}

function keyOf({ name, identity }: Source): string {
  return `${name} ${identity}`;
}

/**
 * Remembers a hash.
 * @param source as it was before the hash was taken.
 * @param now when the hash was begun, in milliseconds since the epoch.
 */
export async function rememberHash(
  host: Host,
  dataDir: string,
  source: Source,
  now: number,
  hash: string,
): Promise<void> {
  if (mayChangeUnseen(source, now)) return;
  const text = `${source.identity} ${hash}\n`;
  const file = cachePath(dataDir, source);
  if ((await host.readText(file)) !== text) await writeStored(host, dataDir, file, text);
}

function mayChangeUnseen({ changedNs }: Source, now: number): boolean {
  return changedNs + TICK_NS > BigInt(now) * 1_000_000n;
}

function cachePath(dataDir: string, { name }: Source): string {
  return `${storePaths(dataDir).hashes}/${sha256(name)}`;
}

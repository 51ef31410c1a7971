// Remembers the sha256 of local archives by path, inode, size and time, so that a second apply of a large
// archive need not read it. Looked up by plan, written by apply only.
import { sha256 } from '../crypto.ts';
import type { Archives } from '../host/archives.ts';
import type { FileStatus, Host } from '../host/host.ts';
import { hasLayer, storePaths, writeStored } from './store.ts';

/** A file written within the clock's tick after it was hashed could keep its time: 20 ms is five ticks. */
const TICK_NS = 20_000_000n;

export interface HashScope {
  readonly host: Host;
  readonly archives: Archives;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  /** Whether the host is locked by us. */
  readonly mayWrite: boolean;
}

/**
 * The archive's hash, from memory when the file is the same as then. Of another file with the content of a layer
 * that is there, nobody else would remember it.
 */
export async function hashArchive(
  { host, archives, dataDir, signal, mayWrite }: HashScope,
  path: string,
  status: FileStatus,
): Promise<string> {
  const remembered = await host.readText(cachePath(dataDir, path));
  const [identity, hash] = remembered?.trim().split(' ') ?? [];
  if (identity === identityOf(status) && hash !== undefined && /^[0-9a-f]{64}$/.test(hash)) return hash;
  const { hash: found, at } = await take(host, archives, path, status, signal);
  if (mayWrite && (await hasLayer(host, dataDir, found))) {
    await rememberHash(host, dataDir, path, status, at, found);
    taken.get(archives)?.delete(keyOf(path, status));
  }
  return found;
}

interface Taken {
  readonly hash: string;
  /** When it was begun, in milliseconds. */
  readonly at: number;
}

/** Of this call, so that neither twenty specs of one archive nor a second look at them read it again. */
const taken = new WeakMap<Archives, Map<string, Promise<Taken>>>();

/** Whether any archive was read whose hash is not remembered. */
export function hasFreshHashes(archives: Archives): boolean {
  return (taken.get(archives)?.size ?? 0) > 0;
}

function take(
  host: Host,
  archives: Archives,
  path: string,
  status: FileStatus,
  signal: AbortSignal,
): Promise<Taken> {
  const known = taken.get(archives) ?? new Map<string, Promise<Taken>>();
  taken.set(archives, known);
  const key = keyOf(path, status);
  const earlier = known.get(key);
  if (earlier !== undefined) return earlier;
  const at = host.now();
  const taking = archives.hash(path, signal).then(({ sha256: hash }) => ({ hash, at }));
  known.set(key, taking);
  const forget = (): void => void known.delete(key);
  // Of a file that may be written again without another time a later look has to see more.
  taking.then(() => mayChangeUnseen(status, at) && forget(), forget);
  return taking;
}

function keyOf(path: string, status: FileStatus): string {
  return `${path} ${identityOf(status)}`;
}

/** `status` was read before the hash was taken, at `now` (milliseconds). */
export async function rememberHash(
  host: Host,
  dataDir: string,
  path: string,
  status: FileStatus,
  now: number,
  hash: string,
): Promise<void> {
  if (mayChangeUnseen(status, now)) return;
  const text = `${identityOf(status)} ${hash}\n`;
  const file = cachePath(dataDir, path);
  if ((await host.readText(file)) !== text) await writeStored(host, dataDir, file, text);
}

function mayChangeUnseen(status: FileStatus, now: number): boolean {
  return BigInt(status.mtimeNs) + TICK_NS > BigInt(now) * 1_000_000n;
}

function cachePath(dataDir: string, path: string): string {
  return `${storePaths(dataDir).hashes}/${sha256(path)}`;
}

function identityOf(status: FileStatus): string {
  return [status.device, status.inode, status.size, status.mtimeNs].join(':');
}

// One lock a host for everything that changes it, in the data folder: below the state folder its open
// file would hold a mount that has to go. The kernel drops the lock with the process, so no kill leaves
// it held; its file and an otherwise empty data folder go when the work is done.
import { BusyError, UsageError } from '../errors.ts';
import { UNFINISHED_WRITE, type Host, type Lock } from '../host/host.ts';
import { removeWhenEmpty } from '../host/remove-when-empty.ts';
import { requireRootsAlone } from './check-places.ts';

const LOCK_FILE = '.lock';
/** Others may pass through to what is theirs, but not look around. Of nobody else's folders, so ours are known by it. */
const OWN_MODE = 0o711;

/**
 * What tells whether anybody has held the lock in between; undefined while somebody may. Whoever holds it makes its file and
 * removes it, and either changes the time of the folder.
 */
export async function lockGeneration(host: Host, dataDir: string): Promise<string | undefined> {
  const folder = await host.status(dataDir);
  const isFree = (await host.status(`${dataDir}/${LOCK_FILE}`)) === undefined;
  return folder === undefined || !isFree ? undefined : `${folder.inode} ${folder.mtimeNs}`;
}

/**
 * @param onMade is called when nobody has held the lock; what is read from then on is still true in the work, if that is
 *   told so: nobody else was at work in between.
 * @throws BusyError when another runspec holds the lock for longer than `timeoutMs`.
 */
export async function withLock<T>(
  host: Host,
  dataDir: string,
  timeoutMs: number,
  work: (isStillTrue: boolean) => Promise<T>,
  onMade?: () => void,
): Promise<T> {
  const path = `${dataDir}/${LOCK_FILE}`;
  const lock = await takeLock(host, dataDir, path, timeoutMs, onMade);
  let result: T;
  try {
    await removeLeftovers(host, dataDir);
    result = await work(lock.isNew);
  } catch (error) {
    // On a disk that fails, the work's own failure is the one to hear of.
    await letGo(host, dataDir, path, lock).catch(() => undefined);
    throw error;
  }
  await letGo(host, dataDir, path, lock);
  return result;
}

async function letGo(host: Host, dataDir: string, path: string, lock: Lock): Promise<void> {
  try {
    // Removed while held: whoever waits for it sees that the file it has is nameless, and begins again.
    await host.removeFile(path);
    await removeIfOwn(host, dataDir);
  } finally {
    await lock.release();
  }
}

async function takeLock(
  host: Host,
  dataDir: string,
  path: string,
  timeoutMs: number,
  onMade?: () => void,
): Promise<Lock> {
  const deadline = host.monotonic() + timeoutMs;
  for (;;) {
    let isThere = false;
    try {
      await host.makeDirectory(dataDir, { mode: OWN_MODE });
      isThere = true;
      // In a folder of everybody's, somebody else may have made it before us.
      await requireRootsAlone(host, 'data', dataDir);
      const lock = await host.lock(path, Math.max(0, deadline - host.monotonic()), onMade);
      if (lock !== undefined) return lock;
      throw new BusyError(`another runspec is at work in ${dataDir}`);
    } catch (error) {
      // The holder before us has just removed the folder with its lock.
      const isLost = isThere && (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (isLost && host.monotonic() <= deadline) continue;
      if (!(error instanceof BusyError)) await removeIfOwn(host, dataDir);
      throw asUnusable(error, dataDir);
    }
  }
}

/** The kernel's own words for what is wrong with the folder. */
function asUnusable(error: unknown, dataDir: string): unknown {
  const reason = /^E[A-Z]+: ([^,]+)/.exec((error as Error).message)?.[1];
  if (reason === undefined) return error;
  return new UsageError(
    `cannot use the data folder ${dataDir}: ${reason}`,
    'choose another one with --data-dir or RUNSPEC_DATA_DIR',
  );
}

/** What a kill in the middle of an atomic write leaves; whoever holds the lock is the only writer here. */
async function removeLeftovers(host: Host, folder: string): Promise<void> {
  for (const name of await listLeftovers(host, folder)) await host.removeFile(`${folder}/${name}`);
}

export async function listLeftovers(host: Host, folder: string): Promise<readonly string[]> {
  return ((await host.list(folder)) ?? []).filter((name) => name.endsWith(UNFINISHED_WRITE));
}

/** An empty folder that we made goes; one that was there before stays. */
async function removeIfOwn(host: Host, folder: string): Promise<void> {
  const status = await host.status(folder);
  if (status?.type !== 'directory' || (status.mode & 0o7777) !== OWN_MODE) return;
  if ((await host.list(folder))?.length !== 0) return;
  // A waiting runspec may have made its lock file in it again; a mount point is the admin's.
  await removeWhenEmpty(host, folder);
}

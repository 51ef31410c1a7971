// The lock of a data folder, for everything that changes the host through it. Its file is not in the state folder,
// where an open file would hold a mount that has to go. The kernel drops the lock with the process, so no kill leaves
// it held; the lock's file and an otherwise empty data folder are removed when the work is done.
import { BusyError, UsageError } from '../errors.ts';
import { UNFINISHED_WRITE, type Host, type Lock } from '../host/host.ts';
import { removeWhenEmpty } from '../host/remove-when-empty.ts';
import { requireRootsAlone } from './check-places.ts';

const LOCK_FILE = '.lock';
/**
 * Mode of a data folder that runspec makes: others may pass through it, but not list it. No other program's folders are
 * likely to have this mode, so that runspec recognizes its own.
 */
const OWN_MODE = 0o711;

/**
 * The generation of the lock: as long as it is the same, nobody has held the lock in between. The holder makes and
 * removes the lock's file, and either changes the time of the folder. Undefined while somebody may hold the lock.
 */
export async function lockGeneration(host: Host, dataDir: string): Promise<string | undefined> {
  const folder = await host.status(dataDir);
  const isFree = (await host.status(`${dataDir}/${LOCK_FILE}`)) === undefined;
  return folder === undefined || !isFree ? undefined : `${folder.inode} ${folder.mtimeNs}`;
}

/**
 * @param work is told whether all that was read since `onMade` is still true, as nobody else held the lock since.
 * @param onMade is called when the lock's file had to be made: nobody held the lock.
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
    // The file is removed while locked: a waiting runspec then sees that its open file has no name, and tries again.
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
      // Where everybody can write, somebody else may have made the data folder first.
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

/** A failure of the folder as an error in the kernel's own words; other errors as they are. */
function asUnusable(error: unknown, dataDir: string): unknown {
  const reason = /^E[A-Z]+: ([^,]+)/.exec((error as Error).message)?.[1];
  if (reason === undefined) return error;
  const remedy = 'choose another one with --data-dir or RUNSPEC_DATA_DIR';
  return new UsageError(
    `cannot use the data folder ${dataDir}: ${reason}`,
    (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? `make the folder above it first, or ${remedy}`
      : remedy,
  );
}

/** Removes unfinished files of atomic writes that a kill cut short: the holder of the lock is the only writer here. */
async function removeLeftovers(host: Host, folder: string): Promise<void> {
  for (const name of await listLeftovers(host, folder)) await host.removeFile(`${folder}/${name}`);
}

export async function listLeftovers(host: Host, folder: string): Promise<readonly string[]> {
  return ((await host.list(folder)) ?? []).filter((name) => name.endsWith(UNFINISHED_WRITE));
}

/** Removes the folder if it is empty and has the mode by which runspec recognizes its own. */
async function removeIfOwn(host: Host, folder: string): Promise<void> {
  const status = await host.status(folder);
  if (status?.type !== 'directory' || (status.mode & 0o7777) !== OWN_MODE) return;
  if ((await host.list(folder))?.length !== 0) return;
  // A waiting runspec may have made its lock file in it again; a mount point is the admin's.
  await removeWhenEmpty(host, folder);
}

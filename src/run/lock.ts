// One lock a host for everything that changes it, in the data folder: below the state folder its open
// file would hold a mount that has to go. The kernel drops the lock with the process, so no kill leaves
// it held; its file and an otherwise empty data folder go when the work is done.
import { BusyError } from '../errors.ts';
import { UNFINISHED_WRITE, type Host, type Lock } from '../host/host.ts';

const LOCK_FILE = '.lock';

/** @throws BusyError when another runspec holds the lock for longer than `timeoutMs`. */
export async function withLock<T>(host: Host, dataDir: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const path = `${dataDir}/${LOCK_FILE}`;
  const lock = await takeLock(host, dataDir, path, timeoutMs);
  try {
    await removeLeftovers(host, dataDir);
    return await work();
  } finally {
    // Removed while held: whoever waits for it sees that the file it has is nameless, and begins again.
    await host.removeFile(path);
    if ((await host.list(dataDir))?.length === 0) await removeUnlessUsed(host, dataDir);
    await lock.release();
  }
}

async function takeLock(host: Host, dataDir: string, path: string, timeoutMs: number): Promise<Lock> {
  const deadline = host.now() + timeoutMs;
  for (;;) {
    await host.makeDirectory(dataDir, { mode: 0o711 });
    try {
      const lock = await host.lock(path, Math.max(0, deadline - host.now()));
      if (lock !== undefined) return lock;
      throw new BusyError(`another runspec is at work in ${dataDir}`);
    } catch (error) {
      // The holder before us has just removed the folder with its lock.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && host.now() <= deadline) continue;
      if (!(error instanceof BusyError)) await removeUnlessUsed(host, dataDir);
      throw error;
    }
  }
}

/** What a kill in the middle of an atomic write leaves; whoever holds the lock is the only writer here. */
async function removeLeftovers(host: Host, folder: string): Promise<void> {
  const names = (await host.list(folder)) ?? [];
  for (const name of names) if (name.endsWith(UNFINISHED_WRITE)) await host.removeFile(`${folder}/${name}`);
}

async function removeUnlessUsed(host: Host, folder: string): Promise<void> {
  try {
    await host.removeDirectory(folder);
  } catch (error) {
    // A waiting runspec has made its lock file in it again; a mount point is the admin's.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EBUSY') throw error;
  }
}

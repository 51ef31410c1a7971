// One lock a host for everything that changes it. The kernel drops it with the process, so no kill
// leaves it behind; the state folder, where it lives, goes when nothing but the lock is left in it.
import { BusyError } from '../errors.ts';
import type { Host } from '../host/host.ts';

const LOCK_FILE = '.lock';

/** @throws BusyError when another runspec holds the lock for longer than `timeoutMs`. */
export async function withLock<T>(host: Host, stateDir: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  await host.makeDirectory(stateDir, { mode: 0o711 });
  const lock = await host.lock(`${stateDir}/${LOCK_FILE}`, timeoutMs);
  if (lock === undefined) throw new BusyError(`another runspec is at work on ${stateDir}`);
  try {
    return await work();
  } finally {
    const left = await host.list(stateDir);
    if (left?.length === 1 && left[0] === LOCK_FILE) {
      await host.removeFile(`${stateDir}/${LOCK_FILE}`);
      await removeUnlessUsed(host, stateDir);
    }
    await lock.release();
  }
}

async function removeUnlessUsed(host: Host, stateDir: string): Promise<void> {
  try {
    await host.removeDirectory(stateDir);
  } catch (error) {
    // A waiting runspec has made its lock file in it again; a mount point is the admin's.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EBUSY') throw error;
  }
}

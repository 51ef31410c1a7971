// The file lock and the watcher by which `run` leaves nothing behind, even when SIGKILL ends it. `run` holds the lock;
// the watcher, a mere flock(1), waits for it and then takes the container down. The kernel drops a lock with its
// holder, so the watcher wakes up however runspec ends.
import { OperationError } from '../errors.ts';
import { commandError, despiteSignals } from '../host/commands.ts';
import type { Host } from '../host/host.ts';

export interface Foreground {
  /** Ends the watcher and the lock, once the container is down. */
  release(): Promise<void>;
}

/** The file that `run` locks. It begins with a dot, as no container's name does, and withLock leaves it in place. */
function fileOf(dataDir: string, container: string): string {
  return `${dataDir}/.run.${container}`;
}

/** @param takeDown argv that takes the container down when it is abandoned. */
export async function holdForeground(
  host: Host,
  dataDir: string,
  container: string,
  takeDown: readonly string[],
): Promise<Foreground> {
  const file = fileOf(dataDir, container);
  const lock = await host.lock(file, 0);
  if (lock === undefined)
    throw new OperationError(`${container} is being run by another runspec`, {
      hint: `take it down first: runspec down ${container}`,
    });
  // The watcher's lock is shared, so that the `down` that it starts can take one too. In a session of its own it
  // survives a terminal that closes, and with `/` as its folder it keeps no file system busy.
  const watcher = host.spawn(['flock', '--shared', file, ...takeDown], {
    stdio: ['null', 'null', 'null'],
    cwd: '/',
    detached: true,
  });
  return {
    async release() {
      watcher.kill('SIGKILL');
      await watcher.exited;
      await host.removeFile(file);
      await lock.release();
    },
  };
}

/** Whether a `run` of the container was killed; false also when none is known. */
export async function isAbandoned(host: Host, dataDir: string, container: string): Promise<boolean> {
  return (await lookAt(host, fileOf(dataDir, container))) === 'free';
}

/** Whether a `run` of the container lives. */
export async function isForeground(host: Host, dataDir: string, container: string): Promise<boolean> {
  return (await lookAt(host, fileOf(dataDir, container))) === 'held';
}

async function lookAt(host: Host, file: string): Promise<'missing' | 'free' | 'held'> {
  if ((await host.status(file)) === undefined) return 'missing';
  // A `run` that is alive holds the lock exclusively.
  return despiteSignals(async () => {
    const result = await host.run(['flock', '--shared', '--nonblock', file, 'true']);
    if (result.status === undefined) throw commandError(`cannot see whether ${file} is locked`, result);
    return result.status === 0 ? 'free' : 'held';
  });
}

/** Removes the file of a killed `run`, once the container is down. A `run` that is alive removes its own file. */
export async function forgetForeground(host: Host, dataDir: string, container: string): Promise<void> {
  if (await isAbandoned(host, dataDir, container)) await host.removeFile(fileOf(dataDir, container));
}

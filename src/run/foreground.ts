// What `run` leaves nothing behind with, even when it is killed by SIGKILL: a file that it holds locked, and a
// watcher, a mere flock(1), that waits for the lock and then takes the container down. The kernel drops the
// lock with its holder, so the watcher wakes however runspec ends.
import { OperationError } from '../errors.ts';
import { commandError, despiteSignals } from '../host/commands.ts';
import type { Host } from '../host/host.ts';

export interface Foreground {
  /** Ends the watcher: the container is down. */
  release(): Promise<void>;
}

/** A dot: no container has such a name, and withLock leaves it alone. */
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
  // Shared, so that what it starts can ask for the lock too. In a session of its own it does not hear of a
  // terminal that closes, and in / it keeps no folder busy.
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
  // Held alone by a `run` that lives.
  return despiteSignals(async () => {
    const result = await host.run(['flock', '--shared', '--nonblock', file, 'true']);
    if (result.status === undefined) throw commandError(`cannot see whether ${file} is locked`, result);
    return result.status === 0 ? 'free' : 'held';
  });
}

/** Once the container is down; one whose runspec lives is left to that. */
export async function forgetForeground(host: Host, dataDir: string, container: string): Promise<void> {
  if (await isAbandoned(host, dataDir, container)) await host.removeFile(fileOf(dataDir, container));
}

// An exclusive lock that dies with its holder. flock(2) belongs to the open file, not to the process
// that calls it: util-linux's flock takes it on a descriptor of ours, ends, and the lock stays with us.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { OperationError } from '../errors.ts';
import { hintFor } from './commands.ts';
import type { Lock } from './host.ts';
import { findProgram, searchPath } from './linux-commands.ts';
import { except } from './linux-errno.ts';
import { monotonic } from './monotonic.ts';

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;

const MISSING = 'install flock, part of util-linux';

/** Exit status that flock(1) is told to use when another process holds the lock. */
const HELD = 75;

export async function takeLock(
  path: string,
  timeoutMs: number,
  onMade?: () => void,
): Promise<Lock | undefined> {
  // Before the file is made: without flock(1) it would stay behind.
  if (findProgram('flock') === undefined) throw new OperationError(`cannot lock ${path}`, { hint: MISSING });
  const deadline = monotonic() + timeoutMs;
  const made = make(path);
  if (made !== undefined) {
    // Without waiting: another process that locks the new file first may change things and be killed with the file in
    // its place, and a lock taken after that must not count as new.
    const locking = hold(made, path, 0);
    onMade?.();
    if (await locking) return { isNew: true, release: async () => fs.closeSync(made) };
  }
  for (;;) {
    // Node opens with O_CLOEXEC, so no other child can inherit the lock and outlive us with it.
    const fd = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    const held = await hold(fd, path, deadline - monotonic());
    if (held === true) return { isNew: false, release: async () => fs.closeSync(fd) };
    if (held === undefined) return undefined;
  }
}

/** Makes the lock's file; undefined when it exists already. */
function make(path: string): number | undefined {
  const open = (): number => fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  return except(open, undefined, 'EEXIST');
}

/**
 * Locks a descriptor, and closes it unless it holds the lock.
 * @returns true when it does, false when the file is no longer the one at `path`, undefined when another process holds
 *   the lock.
 */
async function hold(fd: number, path: string, waitMs: number): Promise<boolean | undefined> {
  let isHeld = false;
  try {
    if (!(await flock(fd, path, waitMs))) return undefined;
    isHeld = isStillAt(path, fd);
    return isHeld;
  } finally {
    if (!isHeld) fs.closeSync(fd);
  }
}

/** A holder may have removed the file while we waited for it: a lock on a nameless file excludes nobody. */
function isStillAt(path: string, fd: number): boolean {
  const ours = fs.fstatSync(fd, { bigint: true });
  const there = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return there !== undefined && there.dev === ours.dev && there.ino === ours.ino;
}

function flock(fd: number, path: string, waitMs: number, attempts = 5): Promise<boolean> {
  const patience = waitMs > 0 ? ['--wait', (waitMs / 1000).toFixed(3)] : ['--nonblock'];
  const argv = ['--exclusive', '--conflict-exit-code', String(HELD), ...patience, '3'];
  return new Promise((resolve, reject) => {
    const child = spawn('flock', argv, {
      stdio: ['ignore', 'ignore', 'pipe', fd],
      // A new session keeps a Ctrl-C from flock.
      detached: true,
      env: { PATH: searchPath(), LC_ALL: 'C' },
    });
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const isMissing = cause.code === 'ENOENT';
      const message = `cannot lock ${path}${isMissing ? '' : `: ${cause.message}`}`;
      reject(new OperationError(message, { cause, hint: isMissing ? MISSING : hintFor(cause.message) }));
    });
    child.once('close', (status, signal) => {
      if (status === 0) resolve(true);
      else if (status === HELD) resolve(false);
      // Until flock is in its own session, a Ctrl-C reaches it too: try again.
      else if (signal !== null && attempts > 1) resolve(flock(fd, path, waitMs, attempts - 1));
      else {
        const command = { argv: ['flock', ...argv], status: status ?? undefined, stderr };
        reject(new OperationError(`cannot lock ${path}`, { command, hint: 'flock of util-linux is needed' }));
      }
    });
  });
}

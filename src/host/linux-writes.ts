// File writes: in place, atomic, and appended with one sync for all waiting callers. A power cut may take only in-place
// writes and those with `sync: false`; all others are on disk when they resolve.
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { UNFINISHED_WRITE, type Host, type WriteOptions } from './host.ts';

const { O_WRONLY, O_RDONLY, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } =
  fs.constants;

const write = promisify(fs.write);
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);

export type WriteCalls = Pick<Host, 'writeInPlace' | 'writeAtomic' | 'append'>;

/**
 * Path of the temporary file: beside the target and always the same, so that the next write or removal finds what
 * SIGKILL left behind.
 */
export function temporaryPath(file: string): string {
  return path.join(path.dirname(file), `.${path.basename(file)}${UNFINISHED_WRITE}`);
}

export function createLinuxWrites(): WriteCalls {
  const queues = new Map<string, Append[]>();
  return {
    writeInPlace,
    writeAtomic,
    append: (file, data, { sync = true } = {}) =>
      new Promise<void>((resolve, reject) => {
        const waiting = queues.get(file);
        const entry = { data: Buffer.from(data), sync, resolve, reject };
        if (waiting !== undefined) {
          waiting.push(entry);
          return;
        }
        queues.set(file, [entry]);
        void drain(queues, file);
      }),
  };
}

/**
 * Cgroup limits that the kernel only stores: written synchronously, as a trip through the thread pool takes ten times
 * as long. Other files make write(2) wait: a limit of memory reclaims pages, a process is moved after a grace period of
 * RCU, a sysctl waits for the lock of all links.
 */
const QUICK_FILE = /^(?:cpu|pids)\./;

async function writeInPlace(file: string, text: string): Promise<void> {
  // O_NONBLOCK only for the open: a fifo without a reader then fails with ENXIO and does not wait for one.
  const fd = fs.openSync(file, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK);
  try {
    const bytes = Buffer.from(text);
    const bytesWritten = QUICK_FILE.test(path.basename(file))
      ? fs.writeSync(fd, bytes, 0, bytes.length, null)
      : (await write(fd, bytes, 0, bytes.length, null)).bytesWritten;
    if (bytesWritten !== bytes.length) {
      throw new Error(`only ${bytesWritten} of ${bytes.length} bytes were taken, write '${file}'`);
    }
  } catch (error) {
    throw withPath(error, file);
  } finally {
    fs.closeSync(fd);
  }
}

async function writeAtomic(file: string, text: string, options: WriteOptions = {}): Promise<void> {
  const temporary = options.via ?? temporaryPath(file);
  fs.rmSync(temporary, { force: true });
  const fd = fs.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    try {
      fs.writeFileSync(fd, text);
      const made = fs.fstatSync(fd);
      const { uid = made.uid, gid = made.gid } = options;
      if (uid !== made.uid || gid !== made.gid) fs.fchownSync(fd, uid, gid);
      fs.fchmodSync(fd, options.mode ?? 0o600);
      if (options.sync !== false) await fsync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw withPath(error, file);
  }
  if (options.sync !== false) await syncDirectory(path.dirname(file));
}

interface Append {
  readonly data: Buffer;
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Writes what has queued up for a file, one write and one sync a round, until nothing is left. */
async function drain(queues: Map<string, Append[]>, file: string): Promise<void> {
  // Calls of the same tick join the first round.
  await Promise.resolve();
  for (let round = take(queues, file); round.length > 0; round = take(queues, file)) {
    try {
      const all = Buffer.concat(round.map((entry) => entry.data));
      await appendAll(
        file,
        all,
        round.some((entry) => entry.sync),
      );
      for (const entry of round) entry.resolve();
    } catch (error) {
      for (const entry of round) entry.reject(error);
    }
  }
}

/** Takes the waiting entries. An empty queue is deleted, so that the next append starts a new one. */
function take(queues: Map<string, Append[]>, file: string): readonly Append[] {
  const waiting = queues.get(file) ?? [];
  if (waiting.length === 0) queues.delete(file);
  else queues.set(file, []);
  return waiting;
}

async function appendAll(file: string, data: Buffer, sync: boolean): Promise<void> {
  const fd = fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const { size } = fs.fstatSync(fd);
    try {
      fs.writeFileSync(fd, data);
    } catch (error) {
      // On a full disk the file must end with the last whole entry, not with half of one.
      fs.ftruncateSync(fd, size);
      throw error;
    }
    if (sync) await fdatasync(fd);
    if (sync && size === 0) await syncDirectory(path.dirname(file));
  } catch (error) {
    throw withPath(error, file);
  } finally {
    fs.closeSync(fd);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const fd = fs.openSync(directory, O_RDONLY | O_DIRECTORY);
  try {
    await fsync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Adds the path to an error, because calls on a descriptor fail without saying which file it was. */
function withPath(error: unknown, file: string): unknown {
  if (!(error instanceof Error) || error.message.includes(file)) return error;
  error.message += ` '${file}'`;
  return Object.assign(error, { path: file });
}

// Looks at files, and makes and removes single ones. Synchronous calls on purpose: each takes microseconds from the
// kernel's caches, a trip through Node's thread pool ten times as long.
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { splitDevice } from './device-number.ts';
import type { FileOptions, FileStatus, FileType, Host } from './host.ts';
import { except, hasCode, systemError } from './linux-errno.ts';
import { temporaryPath } from './linux-writes.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, W_OK } = fs.constants;

/** open(2) O_PATH, which Node does not name: a handle on the entry itself that needs no permission on it. */
export const O_PATH = 0o10000000;

/** Error codes for a path of which the last name, or a folder on the way to it, does not exist. */
const MISSING = ['ENOENT', 'ENOTDIR'] as const;
/** What looking fails with where nothing is, or the symlinks on the way there go round in a circle. */
const NOWHERE = [...MISSING, 'ELOOP'] as const;

type TypedEntry = Pick<
  fs.BigIntStats,
  'isFile' | 'isDirectory' | 'isSymbolicLink' | 'isFIFO' | 'isSocket' | 'isBlockDevice'
>;

export type FileCalls = Pick<
  Host,
  | 'readText'
  | 'readBytes'
  | 'setMode'
  | 'makeDirectory'
  | 'removeDirectory'
  | 'removeFile'
  | 'rename'
  | 'makeSymlink'
  | 'status'
  | 'statusOfTarget'
  | 'list'
  | 'readLink'
  | 'realPath'
  | 'isWritable'
  | 'freeBytes'
>;

const read = promisify(fs.read);

export const linuxFiles: FileCalls = {
  readText: async (file) => {
    if (SOCKET_TABLES.has(file)) return readInBackground(file);
    return except(() => readRegularFile(file).toString('utf8'), undefined, ...MISSING);
  },
  readBytes: async (file) => except(() => readRegularFile(file), undefined, ...MISSING),
  setMode: async (file, mode) => setMode(file, mode),
  makeDirectory: async (directory, options) => makeDirectory(directory, options),
  removeDirectory: async (directory) => succeeds(() => fs.rmdirSync(directory), 'ENOENT'),
  removeFile: async (file) => {
    // A writeAtomic that SIGKILL cut short left its temporary file beside the target: remove both.
    succeeds(() => fs.unlinkSync(temporaryPath(file)), ...MISSING);
    return succeeds(() => fs.unlinkSync(file), ...MISSING);
  },
  rename: async (from, to) => fs.renameSync(from, to),
  makeSymlink: async (target, link) => fs.symlinkSync(target, link),
  status: async (file) => except(() => readStatus(file), undefined, ...NOWHERE),
  statusOfTarget: async (file) =>
    except(() => toStatus(fs.statSync(file, { bigint: true })), undefined, ...NOWHERE),
  list: async (directory) => listNames(directory),
  readLink: async (link) => fs.readlinkSync(link),
  realPath: async (file) => except(() => fs.realpathSync.native(file), undefined, ...NOWHERE),
  isWritable: async (file) =>
    succeeds(() => fs.accessSync(file, W_OK), 'EACCES', 'EPERM', 'EROFS', ...MISSING),
  freeBytes: async (file) => {
    const { bsize, bfree } = fs.statfsSync(file);
    return bsize * bfree;
  },
};

/** Socket tables: the kernel walks its whole hash of sockets for them, 4 ms a read, so a thread reads them. */
const SOCKET_TABLES: ReadonlySet<string> = new Set(['/proc/net/tcp', '/proc/net/tcp6']);

/**
 * Fewest bytes of a read after which more may follow. A read gives as many whole lines as fit into a page
 * (fs/seq_file.c, seq_read_iter): one that left room for another line, 176 bytes at most (net/ipv6/tcp_ipv6.c), was the
 * last. Reading on until nothing comes would cost a second walk.
 */
const FULL = 4096 - 256;

/**
 * Reads a file by fs.read: one trip through the thread pool a read, where fs.readFile makes five in all, each of which
 * waits for the main thread.
 */
async function readInBackground(file: string): Promise<string | undefined> {
  const fd = except(() => fs.openSync(file, O_RDONLY), undefined, ...MISSING);
  if (fd === undefined) return undefined;
  try {
    let text = '';
    for (;;) {
      const { bytesRead, buffer } = await read(fd, Buffer.allocUnsafe(65_536), 0, 65_536, null);
      text += buffer.toString('latin1', 0, bytesRead);
      if (bytesRead < FULL) return text;
    }
  } finally {
    fs.closeSync(fd);
  }
}

function succeeds(call: () => void, ...codes: readonly string[]): boolean {
  return except(() => (call(), true), false, ...codes);
}

/** Reads regular files only: a fifo or a device in an image must neither block runspec nor feed it without end. */
function readRegularFile(file: string): Buffer {
  const fd = fs.openSync(file, O_RDONLY | O_NONBLOCK);
  try {
    if (!fs.fstatSync(fd).isFile()) throw systemError('EINVAL', 'not a regular file', file);
    return fs.readFileSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function setMode(file: string, mode: number): void {
  const handle = fs.openSync(file, O_PATH | O_NOFOLLOW);
  try {
    if (fs.fstatSync(handle).isSymbolicLink()) throw systemError('ELOOP', 'a symlink has no mode', file);
    fs.chmodSync(`/proc/self/fd/${handle}`, mode);
  } finally {
    fs.closeSync(handle);
  }
}

function makeDirectory(directory: string, { mode = 0o700, uid, gid }: FileOptions = {}): boolean {
  try {
    fs.mkdirSync(directory, { mode: mode & 0o700 });
  } catch (error) {
    if (hasCode(error, 'EEXIST') && fs.lstatSync(directory).isDirectory()) return false;
    throw error;
  }
  // Owner before mode: nobody else may use the folder before its owner is right.
  const fd = fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const made = fs.fstatSync(fd);
    if (uid !== undefined || gid !== undefined) fs.fchownSync(fd, uid ?? made.uid, gid ?? made.gid);
    fs.fchmodSync(fd, mode);
  } finally {
    fs.closeSync(fd);
  }
  return true;
}

function listNames(directory: string): readonly string[] | undefined {
  try {
    return fs.readdirSync(directory).sort();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    // ENOTDIR means a file at the path itself, which is an error, or a file on the way: then the folder does not exist.
    if (
      hasCode(error, 'ENOTDIR') &&
      except(() => readStatus(directory), undefined, ...MISSING) === undefined
    ) {
      return undefined;
    }
    throw error;
  }
}

export function readStatus(file: string): FileStatus {
  return toStatus(fs.lstatSync(file, { bigint: true }));
}

function toStatus(found: fs.BigIntStats): FileStatus {
  const type = typeOf(found);
  return {
    type,
    mode: Number(found.mode & 0o7777n),
    uid: Number(found.uid),
    gid: Number(found.gid),
    size: Number(found.size),
    device: Number(found.dev),
    inode: Number(found.ino),
    mtimeNs: String(found.mtimeNs),
    ctimeNs: String(found.ctimeNs),
    ...(type === 'block' || type === 'character' ? { rdev: splitDevice(found.rdev) } : {}),
  };
}

/** File type of a stat result or of a folder entry. */
export function typeOf(found: TypedEntry): FileType {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  if (found.isSymbolicLink()) return 'symlink';
  if (found.isFIFO()) return 'fifo';
  if (found.isSocket()) return 'socket';
  return found.isBlockDevice() ? 'block' : 'character';
}

/** The folder an entry lives in, with its symlinks resolved, and the entry's absolute path through it. */
export function locate(file: string): {
  readonly parent: string;
  readonly name: string;
  readonly path: string;
} {
  const parent = fs.realpathSync.native(path.dirname(file));
  const name = path.basename(file);
  return { parent, name, path: path.join(parent, name) };
}

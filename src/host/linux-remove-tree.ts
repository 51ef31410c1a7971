// Removes a folder and all below it. The worst thing this could do is to delete through a live bind
// mount or a symlink, so every step goes by descriptor and stays on the mount it began on.
import fs from 'node:fs';
import { OperationError } from '../errors.ts';
import { except, hasCode } from './linux-errno.ts';
import { locate, O_PATH } from './linux-files.ts';
import { monotonic } from './monotonic.ts';
import { unescapeOctal } from './proc-files.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
/** Longest time that the main thread is kept from signals and other steps. */
const SLICE_MS = 20;
/** Listings of one folder before giving up: somebody else keeps filling it. */
const MAX_LISTINGS = 10;

interface Folder {
  readonly name: Buffer;
  readonly device: bigint;
  readonly inode: bigint;
  entries: fs.Dirent<Buffer>[];
  listings: number;
}

export async function removeTree(target: string): Promise<boolean> {
  const place = except(() => locate(target), undefined, 'ENOENT', 'ENOTDIR');
  if (place === undefined) return false;
  refuseMounts(place.path);
  const parent = fs.openSync(place.parent, O_RDONLY | O_DIRECTORY);
  try {
    const name = Buffer.from(place.name);
    for (let listings = 1; ; listings += 1) {
      const root = except(() => openFolder(parent, name), undefined, 'ENOENT');
      if (root === undefined) return listings > 1;
      await new TreeRemoval(place.path, mountId(parent), root).run(name);
      if (removeEmpty(parent, { name, listings })) return true;
    }
  } finally {
    fs.closeSync(parent);
  }
}

/** Depth first with one open descriptor, whatever the depth: the way back up is `..`, checked by inode. */
class TreeRemoval {
  readonly #path: string;
  readonly #mount: string;
  #fd: number;
  readonly #folders: Folder[] = [];

  constructor(path: string, mount: string, root: number) {
    this.#path = path;
    this.#mount = mount;
    this.#fd = root;
  }

  async run(name: Buffer): Promise<void> {
    try {
      this.#enter(name);
      let sliceEnd = monotonic() + SLICE_MS;
      while (this.#step()) {
        if (monotonic() < sliceEnd) continue;
        await new Promise((resolve) => setImmediate(resolve));
        sliceEnd = monotonic() + SLICE_MS;
      }
    } finally {
      fs.closeSync(this.#fd);
    }
  }

  /** Removes one entry, or goes one folder down or up; false when the root is empty. */
  #step(): boolean {
    const folder = this.#folders.at(-1);
    if (folder === undefined) return false;
    const entry = folder.entries.pop();
    if (entry === undefined) return this.#leave(folder);
    if (!entry.isDirectory())
      except(() => fs.unlinkSync(entryPath(this.#fd, entry.name)), undefined, 'ENOENT');
    else this.#descend(entry.name);
    return true;
  }

  #descend(name: Buffer): void {
    const child = except(() => openFolder(this.#fd, name), undefined, 'ENOENT');
    if (child === undefined) return;
    fs.closeSync(this.#fd);
    this.#fd = child;
    this.#enter(name);
  }

  /** Enters the folder that was just opened: its mount is checked before anything in it is touched. */
  #enter(name: Buffer): void {
    if (mountId(this.#fd) !== this.#mount) {
      const where = fs.readlinkSync(`/proc/self/fd/${this.#fd}`);
      throw new OperationError(`${this.#path} was not removed further: ${where} is a mount point`, {
        hint: `unmount ${where} first`,
      });
    }
    const { dev, ino } = fs.fstatSync(this.#fd, { bigint: true });
    this.#folders.push({ name, device: dev, inode: ino, entries: listEntries(this.#fd), listings: 1 });
  }

  #leave(folder: Folder): boolean {
    const above = this.#folders.at(-2);
    if (above === undefined) {
      this.#folders.pop();
      return false;
    }
    const fd = fs.openSync(`/proc/self/fd/${this.#fd}/..`, O_RDONLY | O_DIRECTORY);
    const { dev, ino } = fs.fstatSync(fd, { bigint: true });
    if (dev !== above.device || ino !== above.inode) {
      fs.closeSync(fd);
      throw new OperationError(`${this.#path} was not removed further: a folder in it was moved meanwhile`);
    }
    const removed = removeEmpty(fd, folder);
    if (!removed) {
      fs.closeSync(fd);
      folder.entries = listEntries(this.#fd);
      folder.listings += 1;
      return true;
    }
    fs.closeSync(this.#fd);
    this.#fd = fd;
    this.#folders.pop();
    return true;
  }
}

/** Removes a folder; false when an entry has appeared in it since it was listed. */
function removeEmpty(parent: number, folder: Pick<Folder, 'name' | 'listings'>): boolean {
  try {
    fs.rmdirSync(entryPath(parent, folder.name));
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true;
    if (hasCode(error, 'ENOTEMPTY') && folder.listings < MAX_LISTINGS) return false;
    throw error;
  }
}

/** Path of an entry as bytes: an image may hold names that are not UTF-8. */
function entryPath(folder: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), name]);
}

function listEntries(folder: number): fs.Dirent<Buffer>[] {
  return fs.readdirSync(`/proc/self/fd/${folder}`, { withFileTypes: true, encoding: 'buffer' });
}

function openFolder(parent: number, name: Buffer): number {
  const path = entryPath(parent, name);
  try {
    return fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (!hasCode(error, 'EACCES')) throw error;
  }
  // Without CAP_DAC_OVERRIDE, the owner of a folder may still give himself the right to look inside.
  const handle = fs.openSync(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    fs.chmodSync(`/proc/self/fd/${handle}`, 0o700);
    return fs.openSync(`/proc/self/fd/${handle}`, O_RDONLY | O_DIRECTORY);
  } finally {
    fs.closeSync(handle);
  }
}

function mountId(fd: number): string {
  const id = /^mnt_id:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  if (id === undefined) throw new OperationError('cannot tell mounts apart: /proc/self/fdinfo has no mnt_id');
  return id;
}

/**
 * Refuses to delete anything while the kernel lists a mount at the folder or below it.
 * @throws OperationError naming the mount.
 */
function refuseMounts(path: string): void {
  for (const line of fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const escaped = line.split(' ')[4];
    if (escaped === undefined) continue;
    const point = unescapeOctal(escaped);
    if (point !== path && !point.startsWith(`${path}/`)) continue;
    throw new OperationError(`${path} was not removed: ${point} is a mount point`, {
      hint: `unmount ${point} first`,
    });
  }
}

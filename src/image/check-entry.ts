// What one entry of an archive may be and where its name may lead: never out of the folder it is unpacked
// in, never through a symlink of the same archive. Pure.
import { OperationError } from '../errors.ts';
import type { TarEntry } from './read-tar.ts';
import { printable, readDevice, refuse } from './tar-header.ts';

/** PATH_MAX and NAME_MAX of Linux. */
const PATH_MAX = 4096;
const NAME_MAX = 255;

const DEVICES: Readonly<Record<string, string>> = { '3': 'is a character device', '4': 'is a block device' };
const DEVICE_HINT =
  "leave devices out of the archive (tar --exclude='./dev/*'); the container gets its own /dev";

const FOLDER_HINT =
  'leave devices out of the folder: the container gets its own /dev, and those of the key devices';

/** What images may have and other archives may not. */
export interface EntryRules {
  /**
   * True accepts device nodes: layers of images come with a digest that somebody vouches for, and the runtime's device
   * rules hold.
   */
  readonly devices: boolean;
  /** It is made of a folder of this machine: whoever reads of it knows of no archive. */
  readonly ofFolder?: true;
}

const UNSUPPORTED: Readonly<Record<string, string>> = {
  D: 'is part of an incremental dump',
  M: 'continues from another volume',
  V: 'is a volume label',
};

/**
 * Checks one entry.
 * @param links symlinks of the archive so far; the entry joins them when it is one.
 * @returns its plain path, '' for the root.
 * @throws OperationError when the entry is refused.
 */
export function checkEntry(entry: TarEntry, links: Set<string>, rules: EntryRules): string {
  const shown = printable(entry.name);
  const unsupported = UNSUPPORTED[entry.type];
  if (unsupported !== undefined) throw refuse(`${shown} ${unsupported}`);
  const device = DEVICES[entry.type];
  if (device !== undefined && !rules.devices) {
    if (rules.ofFolder === true) throw new OperationError(`${shown} ${device}`, { hint: FOLDER_HINT });
    throw refuse(`${shown} ${device}`, DEVICE_HINT);
  }
  if (!'0123456S'.includes(entry.type))
    throw refuse(`${shown} is of the unknown type ${printable(entry.type)}`);
  // A name of slashes alone is the root folder, as some tools write it (umoci insert): it leads nowhere else.
  const isRoot = /^\/+$/.test(entry.name);
  const path = isRoot ? '' : checkPath(entry.name, `entry ${shown}`, links);
  if (path === '' && entry.type !== '5') throw refuse(`${shown} stands for the root folder but is none`);
  if (entry.type === '3') checkDevice(entry, shown);
  if ('123456'.includes(entry.type) && entry.size !== 0)
    throw refuse(`${shown} is no regular file but has data`);
  if (entry.type === '2') {
    if (entry.link === '' || entry.link.includes('\0')) throw refuse(`symlink ${shown} has no valid target`);
    if (entry.link.length >= PATH_MAX)
      throw refuse(`the target of symlink ${shown} is longer than ${PATH_MAX - 1} bytes`);
    links.add(path);
  }
  if (entry.type === '1') {
    const target = checkPath(entry.link, `the target ${printable(entry.link)} of hard link ${shown}`, links);
    if (target === '' || target === path) throw refuse(`hard link ${shown} has no valid target`);
    // A hard link to a symlink leads just as far.
    if (links.has(target)) links.add(path);
  }
  return path;
}

/** Refuses character device 0/0, which an overlay takes not for a device but for `deleted`. */
function checkDevice(entry: TarEntry, shown: string): void {
  const { major, minor } = readDevice(entry.block);
  if (major !== 0 || minor !== 0) return;
  throw refuse(
    `${shown} is a character device 0/0, which would hide files of the layers below`,
    'layers say what they delete with entries named .wh.NAME',
  );
}

/** The path without `.` and double slashes. @throws OperationError when it could lead outside of the root. */
function checkPath(name: string, what: string, links: ReadonlySet<string>): string {
  if (name === '' || name.includes('\0')) throw refuse(`${what} has no valid name`);
  if (name.startsWith('/'))
    throw refuse(`${what} is absolute`, 'make the archive with relative names: tar -C FOLDER -cf FILE .');
  if (name.length >= PATH_MAX) throw refuse(`${what} is longer than ${PATH_MAX - 1} bytes`);
  let path = '';
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') throw refuse(`${what} leads out of its folder with ..`);
    if (part.length > NAME_MAX) throw refuse(`${what} has a part longer than ${NAME_MAX} bytes`);
    if (path !== '' && links.has(path)) throw refuse(`${what} leads through the symlink ${printable(path)}`);
    path = path === '' ? part : `${path}/${part}`;
  }
  return path;
}

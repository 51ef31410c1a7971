// A root for one command that unpacks: the machine's programs, read-only, and one folder to write to. Nothing else
// has a name there, so that whatever an archive says, and whatever a check overlooks, nothing else is written.
import { randomHex } from '../crypto.ts';
import fs from 'node:fs';
import path from 'node:path';

/** The folder to write to, as the command sees it. */
export const INSIDE = '/layer';

/** A place that every machine has and that never holds a layer; covered in the command's mount namespace only. */
const ROOT = '/sys';

/** Where programs and their libraries lie, in distributions with and without a merged /usr, NixOS and Guix. */
const PROGRAMS = ['/usr', '/bin', '/lib', '/lib64', '/nix', '/gnu'];

/**
 * One mount(8) for all mounts; descriptor 3 is their table. The only text for a shell: two programs have to run in one
 * mount namespace. It is constant; the command comes as arguments, which the shell passes on unread.
 */
const ENTER = `mount --no-mtab --all --fstab /dev/fd/3 && exec chroot ${ROOT} "$@" 3<&-`;

/**
 * `argv` with `directory` at INSIDE and everything else read-only or absent. The descriptor is to be
 * given to the child as its number 3, and closed.
 */
export function confine(
  directory: string,
  argv: readonly string[],
): { readonly argv: readonly string[]; readonly table: number } {
  const rows = [
    ['tmpfs', ROOT, 'tmpfs', 'nosuid,nodev,noexec,size=64k,mode=755'],
    ...PROGRAMS.filter((folder) => fs.existsSync(folder)).map((folder) =>
      bind(folder, folder, 'ro,nosuid,nodev'),
    ),
    bind(directory, INSIDE, 'nosuid,nodev,noexec'),
  ];
  const text = rows.map((row) => `${row.join(' ')} 0 0\n`).join('');
  return {
    argv: ['unshare', '--mount', 'sh', '-c', ENTER, 'sh', ...argv],
    table: writeUnnamed(directory, text),
  };
}

function bind(source: string, target: string, options: string): readonly string[] {
  return [escapeField(source), ROOT + target, 'none', `bind,${options},X-mount.mkdir`];
}

/** As fstab(5) has it. */
function escapeField(field: string): string {
  return field.replaceAll(
    /[\s\\]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}

/** mount(8) wants a regular file: one without a name, which nothing has to clean up. */
function writeUnnamed(directory: string, text: string): number {
  const file = path.join(directory, `.table-${randomHex(8)}`);
  const fd = fs.openSync(file, 'wx+', 0o600);
  try {
    fs.unlinkSync(file);
    fs.writeFileSync(fd, text);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  return fd;
}

// Confined root for one command that unpacks: the machine's programs, read-only, and one folder to write to. Nothing
// else of the host has a name there, so that an archive which a check lets through cannot write elsewhere.
import { randomHex } from '../crypto.ts';
import fs from 'node:fs';
import path from 'node:path';

/** The folder to write to, as the command sees it. */
export const INSIDE = '/layer';

/**
 * Mount point of the root: every machine has /sys, no layer lies in it, and only the command's mount namespace sees it
 * covered.
 */
const ROOT = '/sys';

/** Folders of programs and their libraries, in distributions with and without a merged /usr, NixOS and Guix. */
const PROGRAMS = ['/usr', '/bin', '/lib', '/lib64', '/nix', '/gnu'];

/**
 * Shell text that mounts the table at descriptor 3 by one mount(8) and enters the root: a shell, because two programs
 * have to run in one mount namespace. The text is constant; the command comes as arguments, which the shell passes on
 * unread.
 */
const ENTER = `mount --no-mtab --all --fstab /dev/fd/3 && exec chroot ${ROOT} "$@" 3<&-`;

/**
 * Wraps `argv` so that it sees `directory` at INSIDE and everything else read-only or not at all.
 * @returns `table`: a descriptor for the caller to give to the child as its number 3, and then to close.
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

/** Escapes white space and backslashes as fstab(5) asks. */
function escapeField(field: string): string {
  return field.replaceAll(
    /[\s\\]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}

/**
 * Writes the table into an unlinked file: mount(8) wants a regular file, and nothing has to clean up a nameless one.
 */
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

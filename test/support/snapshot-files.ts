// The part of the oracle that lists files: kind, mode, owner, size, target and content of each.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/** Files larger than this are told apart by their size alone. */
const MAX_HASHED = 1 << 20;

/**
 * Every file at and below `folder` of the host whose root is seen at `root`. What lies on another file
 * system below is not looked at: the mount itself is listed elsewhere.
 */
export function listFiles(root: string, folder: string, ignore: readonly string[]): readonly string[] {
  const top = fs.lstatSync(root + folder, { throwIfNoEntry: false });
  if (top === undefined) return [];
  const walk = (file: string): readonly string[] => {
    if (ignore.includes(file)) return [];
    const found = fs.lstatSync(root + file, { throwIfNoEntry: false });
    if (found === undefined) return [];
    if (found.dev !== top.dev) return [`${file} mounted`];
    const line = `${file} ${describe(root + file, found)}`;
    if (!found.isDirectory()) return [line];
    return [line, ...fs.readdirSync(root + file).flatMap((name) => walk(path.join(file, name)))];
  };
  return walk(folder);
}

function describe(file: string, found: fs.Stats): string {
  const mode = (found.mode & 0o7777).toString(8);
  const owner = `${found.uid}:${found.gid}`;
  if (found.isDirectory()) return `folder ${mode} ${owner}`;
  if (found.isSymbolicLink()) return `symlink ${owner} -> ${fs.readlinkSync(file)}`;
  if (found.isFile())
    return `file ${mode} ${owner} ${found.size} bytes ${found.nlink} links ${digest(file, found)}`;
  return `special ${(found.mode & fs.constants.S_IFMT).toString(8)} ${mode} ${owner} ${found.rdev}`;
}

function digest(file: string, found: fs.Stats): string {
  if (found.size > MAX_HASHED) return 'large';
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex').slice(0, 16);
}

// A tree as text, one line a property that images promise to keep, for comparing what different tools unpack.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { TEST_ENVIRONMENT } from './execute.ts';

/** Everything below a folder, with its path from there. The recursive readdir of Node 22 follows symlinks, that of Node 20 does not. */
export function walk(root: string, below = ''): readonly (fs.Dirent & { readonly relative: string })[] {
  return fs.readdirSync(path.join(root, below), { withFileTypes: true }).flatMap((entry) => {
    const relative = path.join(below, entry.name);
    return [Object.assign(entry, { relative }), ...(entry.isDirectory() ? walk(root, relative) : [])];
  });
}

/**
 * Paths, types, modes, owners, times of files, link counts, targets, device numbers, contents and extended
 * attributes. Folders have no link count here: overlayfs gives merged ones 1.
 */
export function describeTree(root: string): readonly string[] {
  const lines: string[] = [];
  const visit = (folder: Buffer, relative: Buffer): void => {
    for (const name of fs.readdirSync(folder, { encoding: 'buffer' })) {
      const full = Buffer.concat([folder, Buffer.from('/'), name]);
      const shown = Buffer.concat([relative, name]);
      lines.push(`${printable(shown)} ${describe(full)}`);
      if (fs.lstatSync(full).isDirectory()) visit(full, Buffer.concat([shown, Buffer.from('/')]));
    }
  };
  visit(Buffer.from(root), Buffer.alloc(0));
  return [...lines, ...attributes(root)].toSorted();
}

function describe(file: Buffer): string {
  const found = fs.lstatSync(file);
  const common = `${(found.mode & 0o7777).toString(8)} ${found.uid}:${found.gid}`;
  if (found.isDirectory()) return `folder ${common}`;
  const rest = `${common} links=${found.nlink}`;
  if (found.isSymbolicLink()) {
    return `symlink ${rest} -> ${printable(fs.readlinkSync(file, { encoding: 'buffer' }))}`;
  }
  const times = `time=${found.mtimeMs}`;
  if (found.isFIFO()) return `fifo ${rest} ${times}`;
  if (!found.isFile()) {
    return `${found.isBlockDevice() ? 'block' : 'character'} ${rest} ${times} device=${found.rdev}`;
  }
  const hash = createHash('sha256').update(fs.readFileSync(file)).digest('hex').slice(0, 12);
  return `file ${rest} ${times} size=${found.size} ${hash}`;
}

function printable(bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll(/[^\x21-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`);
}

function attributes(root: string): readonly string[] {
  const argv = [
    '--recursive',
    '--physical',
    '--no-dereference',
    '--dump',
    '--match=-',
    '--encoding=hex',
    '.',
  ];
  const { status, stdout, stderr } = spawnSync('getfattr', argv, {
    cwd: root,
    encoding: 'latin1',
    env: { ...TEST_ENVIRONMENT },
  });
  if (status !== 0) throw new Error(`getfattr: ${stderr}`);
  return stdout.split('\n\n').flatMap((block) => {
    const [name = '', ...values] = block.split('\n');
    return values.filter((line) => line !== '').map((line) => `${name.replace('# file: ', '')} has ${line}`);
  });
}

// A root file system in a temporary folder, written as data: path to text, or `-> target` for a symlink.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { createLinuxHost } from '../../src/host/linux.ts';

export const host = createLinuxHost();

const made: string[] = [];
// Here, as tests import this: one that is asked for inside of a test never comes.
afterAll(() => made.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));

/** @returns the folder; `OUTSIDE` in a symlink's target stands for the folder beside the root. */
export function makeTree(files: Readonly<Record<string, string>>): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-runtime-'));
  made.push(folder);
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (text.startsWith('-> ')) fs.symlinkSync(text.slice(3).replace('OUTSIDE', folder), file);
    else fs.writeFileSync(file, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
  }
  return folder;
}

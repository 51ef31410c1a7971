// Symlinks that come to stand in a path after it was looked at: whoever owns a folder can put one there at any moment. What
// is read then must not be the host's.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CopySource, TarInspector } from '../../src/host/archives.ts';
import { createLinuxPacking } from '../../src/host/linux-packing.ts';
import { archives, isRoot, listTree, makeScratch } from '../image/scratch.ts';

const SECRET = 'a secret of the host';
const inspector: TarInspector = { write: (chunk) => [chunk], end: () => [] };
const { signal } = new AbortController();

describe.skipIf(!isRoot)('what is read from the folders of others', () => {
  const scratch = makeScratch();
  const root = path.join(scratch, 'root with a ,:\\ and\na line');
  const outside = path.join(scratch, 'outside');
  for (const folder of [`${root}/a`, `${outside}/a`]) fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(`${root}/a/file`, 'its own');
  fs.writeFileSync(`${outside}/file`, SECRET);
  fs.symlinkSync(outside, `${root}/absolute`);
  fs.symlinkSync('../outside', `${root}/relative`);
  const links = ['absolute', 'relative'];

  describe('one by one', () => {
    const read = async (...paths: readonly string[]): Promise<string> => {
      const chunks: Buffer[] = [];
      const selection = { roots: [root], entries: paths.map((one) => ({ root, path: one })) };
      await createLinuxPacking().read(selection, (chunk) => chunks.push(chunk), signal);
      return Buffer.concat(chunks).toString('latin1');
    };

    it('is a file where it was listed, and a symlink itself', async () => {
      const text = await read('a/file', ...links);
      expect(text).toContain('its own');
      expect(text).not.toContain(SECRET);
    });

    it.each(links)('is never a file behind a symlink: %s', async (link) => {
      await expect(read(`${link}/file`)).rejects.toThrow(/cannot read the files of the container/);
    });
  });

  describe('by folders', () => {
    const copy = async (name: string, source: CopySource): Promise<readonly string[]> => {
      const target = path.join(scratch, name);
      fs.mkdirSync(target);
      await archives.copy(source, target, { inspector, signal, progress: () => undefined });
      return listTree(target);
    };
    const plain = path.join(scratch, 'plain');
    fs.cpSync(root, plain, { recursive: true, verbatimSymlinks: true });
    const empty = path.join(scratch, 'empty');
    fs.mkdirSync(empty);
    const overlay = { options: `lowerdir=${plain}:${empty}` };

    it('is a folder of an overlay', async () => {
      const found = await copy('whole', { root: '/a', names: ['.'], recursive: true, overlay });
      expect(found.join('\n')).toContain('file');
    });

    it.each(links)('is never an overlay behind a symlink: %s', async (link) => {
      const source = { root: `/${link}`, names: ['.'], recursive: true, overlay };
      await expect(copy(`overlay-${link}`, source)).rejects.toThrow(/symbolic links/);
    });

    it.each(links)('is never a folder behind a symlink: %s', async (link) => {
      const source = { root: plain, names: [`${link}/a`], recursive: false };
      await expect(copy(`names-${link}`, source)).rejects.toThrow(/symbolic links/);
    });
  });
});

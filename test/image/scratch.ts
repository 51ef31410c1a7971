// A folder of a test's own, the real machine, and a context for making layers in it.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { createLinuxArchives } from '../../src/host/linux-archives.ts';
import { createLinuxHost } from '../../src/host/linux.ts';
import type { LayerContext } from '../../src/image/unpack-tarball.ts';
import type { RootfsSource, Spec, LayerSource } from '../../src/load/spec.ts';
import { walk } from '../support/tree.ts';

export const host = createLinuxHost();
export const archives = createLinuxArchives();

export const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: layers keep owners and modes, which needs root');

/** Gone when the file's tests have ended. */
export function makeScratch(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-image-'));
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function layerContext(
  dataDir: string,
  signal = new AbortController().signal,
): LayerContext & { readonly said: string[] } {
  const said: string[] = [];
  return { host, archives, dataDir, signal, said, progress: (text) => void said.push(text) };
}

/** Of a spec only what layers are made from. */
export function specOf(rootfs: RootfsSource, ...layers: readonly LayerSource[]): Spec {
  return { rootfs, layers } as unknown as Spec;
}

/** Everything below a folder, one line each, so that differences can be read. */
export function listTree(root: string): readonly string[] {
  if (!fs.existsSync(root)) return [];
  return walk(root)
    .map((found) => {
      const full = path.join(root, found.relative);
      const { mode, uid, gid } = fs.lstatSync(full);
      const target = found.isSymbolicLink() ? ` -> ${fs.readlinkSync(full)}` : '';
      return `${found.relative} ${mode.toString(8)} ${uid}:${gid}${target}`;
    })
    .toSorted();
}

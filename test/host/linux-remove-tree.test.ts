// removeTree against symlinks, odd names, depth, and live bind mounts in a mount namespace of their own.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLinuxHost } from '../../src/host/linux.ts';
import { walk } from '../support/tree.ts';
import { bundleHost } from './bundle-host.ts';

const host = createLinuxHost();
let folder: string;
let tree: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-host-'));
  tree = path.join(folder, 'tree');
  fs.mkdirSync(tree);
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('removeTree', () => {
  it('removes folders, files, links, fifos and names that are not UTF-8', async () => {
    fs.mkdirSync(path.join(tree, 'a/b/c'), { recursive: true });
    fs.mkdirSync(path.join(tree, 'a/locked'), { mode: 0 });
    fs.writeFileSync(path.join(tree, 'a/file'), '');
    fs.writeFileSync(Buffer.concat([Buffer.from(`${tree}/a/`), Buffer.from([0xff, 0xfe])]), '');
    execFileSync('mkfifo', [path.join(tree, 'a/fifo')]);
    expect(await host.removeTree(tree)).toBe(true);
    expect(fs.readdirSync(folder)).toEqual([]);
    expect(await host.removeTree(tree)).toBe(false);
    expect(await host.removeTree(path.join(tree, 'below'))).toBe(false);
  });

  it('removes a symlink and leaves what it points to', async () => {
    const outside = path.join(folder, 'outside');
    fs.mkdirSync(outside);
    fs.writeFileSync(path.join(outside, 'precious'), '');
    fs.symlinkSync(outside, path.join(tree, 'folder'));
    fs.symlinkSync('..', path.join(tree, 'up'));
    expect(await host.removeTree(tree)).toBe(true);
    expect(fs.existsSync(path.join(outside, 'precious'))).toBe(true);
  });

  it('refuses a symlink or a file in place of the folder', async () => {
    fs.writeFileSync(path.join(tree, 'precious'), '');
    const link = path.join(folder, 'link');
    fs.symlinkSync(tree, link);
    await expect(host.removeTree(link)).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(host.removeTree(path.join(tree, 'precious'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(fs.existsSync(path.join(tree, 'precious'))).toBe(true);
  });

  it('goes 3,000 folders deep, beyond the longest path', async () => {
    execFileSync(
      'python3',
      ['-c', 'import os\nfor i in range(3000):\n  os.mkdir("deeper"); os.chdir("deeper")'],
      { cwd: tree },
    );
    expect(await host.removeTree(tree)).toBe(true);
  });

  it('removes many files and lets others run meanwhile', async () => {
    for (let index = 0; index < 5_000; index += 1) fs.writeFileSync(path.join(tree, String(index)), '');
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    expect(await host.removeTree(tree)).toBe(true);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  it('takes along what appears in a folder while it is being removed', async () => {
    for (let index = 0; index < 20_000; index += 1) fs.writeFileSync(path.join(tree, String(index)), '');
    fs.mkdirSync(path.join(tree, 'late'));
    const removal = host.removeTree(tree);
    fs.writeFileSync(path.join(tree, 'new'), '');
    await expect(removal).resolves.toBe(true);
  });
});

const root = process.getuid?.() === 0;
if (!root) console.warn('skipped: removeTree and mounts (needs root for a mount namespace)');

/** Runs shell commands, then removeTree('tree'), in a mount namespace of its own; gives what removeTree said. */
function removeUnderMounts(prepare: string, beforeWalk = ''): string {
  const bundle = bundleHost(folder);
  const script = `
    import { createLinuxHost } from ${JSON.stringify(bundle)};
    ${beforeWalk}
    try { console.log(await createLinuxHost().removeTree(${JSON.stringify(tree)})); }
    catch (error) { console.log(error.message); }`;
  const file = path.join(folder, 'remove.mjs');
  fs.writeFileSync(file, script);
  const { stdout, stderr, status } = spawnSync(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-ec',
      `${prepare}\nexec "$0" "$1"`,
      process.execPath,
      file,
    ],
    { cwd: folder, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

describe.skipIf(!root)('removeTree and mounts', () => {
  beforeEach(() => {
    fs.mkdirSync(path.join(folder, 'victim'));
    fs.writeFileSync(path.join(folder, 'victim/precious'), '');
    fs.mkdirSync(path.join(tree, 'z/mounted here'), { recursive: true });
    fs.writeFileSync(path.join(tree, 'a'), '');
  });
  const everything = (): readonly string[] =>
    walk(tree)
      .map(({ relative }) => relative)
      .sort();

  it.each([
    [
      'a bind mount of the same file system below',
      'mount --bind victim "tree/z/mounted here"',
      'z/mounted here',
    ],
    ['another file system below', 'mount -t tmpfs none "tree/z/mounted here"', 'z/mounted here'],
    ['a file mounted on a file', 'mount --bind victim/precious tree/a', 'a'],
    ['the folder being a mount itself', 'mount --bind victim tree', ''],
  ])('deletes nothing with %s, and names the mount', (_, prepare, point) => {
    const before = everything();
    const said = removeUnderMounts(prepare);
    expect(said).toBe(`${tree} was not removed: ${path.join(tree, point)} is a mount point`);
    expect(everything()).toEqual(before);
    expect(fs.existsSync(path.join(folder, 'victim/precious'))).toBe(true);
  });

  it('is not fooled by a neighbour whose name begins alike', () => {
    fs.mkdirSync(`${tree}-two`);
    expect(removeUnderMounts('mount --bind victim tree-two')).toBe('true');
  });

  it('stops at a mount that appears after the look at the mount table', () => {
    // The table is shown without the mount, as if it came right after.
    const hideMounts = `
      import fs from 'node:fs';
      const read = fs.readFileSync;
      fs.readFileSync = (file, ...rest) => file === '/proc/self/mountinfo' ? '' : read(file, ...rest);`;
    const said = removeUnderMounts('mount --bind victim "tree/z/mounted here"', hideMounts);
    expect(said).toContain(`${path.join(tree, 'z/mounted here')} is a mount point`);
    expect(fs.existsSync(path.join(folder, 'victim/precious'))).toBe(true);
    expect(removeUnderMounts('mount --bind victim tree', hideMounts)).toContain('is a mount point');
    expect(fs.existsSync(path.join(folder, 'victim/precious'))).toBe(true);
  });
});

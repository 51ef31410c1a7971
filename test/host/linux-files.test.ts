// The real host's file calls, on the real file system in a temporary folder.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLinuxHost } from '../../src/host/linux.ts';

const host = createLinuxHost();
let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-host-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]): string => path.join(folder, ...names);
const modeOf = (file: string): number => fs.lstatSync(file).mode & 0o7777;

describe('reading', () => {
  it('answers undefined for a file that does not exist, or whose folder is a file', async () => {
    fs.writeFileSync(at('file'), '');
    for (const missing of [at('no'), at('no', 'deeper'), at('file', 'below')]) {
      expect(await host.readText(missing)).toBeUndefined();
      expect(await host.status(missing)).toBeUndefined();
      expect(await host.statusOfTarget(missing)).toBeUndefined();
      expect(await host.list(missing)).toBeUndefined();
      expect(await host.realPath(missing)).toBeUndefined();
      expect(await host.isWritable(missing)).toBe(false);
    }
  });

  it('refuses a fifo and a device where a file is expected, and does not wait for a writer', async () => {
    execFileSync('mkfifo', [at('fifo')]);
    await expect(host.readText(at('fifo'))).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(host.readText('/dev/zero')).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(host.writeInPlace(at('fifo'), 'x')).rejects.toMatchObject({ code: 'ENXIO' });
  });

  it('reads procfs, whose files have no size', async () => {
    expect(await host.readText('/proc/self/stat')).toContain(`${process.pid} `);
  });

  it('says what a file is without following symlinks', async () => {
    fs.symlinkSync('/etc', at('link'));
    expect(await host.status(at('link'))).toMatchObject({ type: 'symlink' });
    expect(await host.status('/dev/null')).toMatchObject({ type: 'character', rdev: { major: 1, minor: 3 } });
    fs.writeFileSync(at('file'), 'four');
    fs.chmodSync(at('file'), 0o6711);
    expect(await host.status(at('file'))).toMatchObject({ type: 'file', mode: 0o6711, size: 4 });
  });

  it('says what a path leads to, through links of /proc as well', async () => {
    fs.symlinkSync('nothing', at('dangling'));
    fs.symlinkSync('/proc/self/ns/net', at('link'));
    expect(await host.statusOfTarget(at('dangling'))).toBeUndefined();
    const namespace = await host.statusOfTarget(at('link'));
    expect(namespace?.type).toBe('file');
    expect(`net:[${namespace?.inode}]`).toBe(await host.readLink('/proc/self/ns/net'));
  });

  it('finds nothing where symlinks go round in a circle', async () => {
    fs.symlinkSync('loop', at('loop'));
    expect(await host.status(at('loop'))).toMatchObject({ type: 'symlink' });
    expect(await host.status(at('loop', 'below'))).toBeUndefined();
    expect(await host.statusOfTarget(at('loop'))).toBeUndefined();
    expect(await host.realPath(at('loop'))).toBeUndefined();
  });

  it('lists names sorted, and refuses to list a file', async () => {
    for (const name of ['b', 'a', '.c']) fs.writeFileSync(at(name), '');
    expect(await host.list(folder)).toEqual(['.c', 'a', 'b']);
    await expect(host.list(at('a'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

describe('making and removing', () => {
  it('makes a folder with exactly the mode asked for, whatever the umask', async () => {
    const umask = process.umask(0o077);
    try {
      expect(await host.makeDirectory(at('open'), { mode: 0o1777 })).toBe(true);
      expect(await host.makeDirectory(at('private'))).toBe(true);
    } finally {
      process.umask(umask);
    }
    expect(modeOf(at('open'))).toBe(0o1777);
    expect(modeOf(at('private'))).toBe(0o700);
    expect(await host.makeDirectory(at('open'))).toBe(false);
    expect(modeOf(at('open'))).toBe(0o1777);
  });

  it('does not take a file or a symlink for the folder it was to make', async () => {
    fs.writeFileSync(at('file'), '');
    fs.symlinkSync('/tmp', at('link'));
    await expect(host.makeDirectory(at('file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(host.makeDirectory(at('link'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it('changes a mode, but never through a symlink', async () => {
    fs.writeFileSync(at('file'), '', { mode: 0o600 });
    fs.symlinkSync('file', at('link'));
    await expect(host.setMode(at('link'), 0o666)).rejects.toMatchObject({ code: 'ELOOP' });
    expect(modeOf(at('file'))).toBe(0o600);
    await host.setMode(at('file'), 0o640);
    expect(modeOf(at('file'))).toBe(0o640);
  });

  it('tells what was there from what was gone already', async () => {
    fs.mkdirSync(at('folder'));
    fs.writeFileSync(at('file'), '');
    expect(await host.removeDirectory(at('folder'))).toBe(true);
    expect(await host.removeDirectory(at('folder'))).toBe(false);
    expect(await host.removeFile(at('file'))).toBe(true);
    expect(await host.removeFile(at('file'))).toBe(false);
  });
});

describe('writing', () => {
  it('replaces a file whole, with its mode, and leaves nothing beside it', async () => {
    fs.writeFileSync(at('file'), 'old', { mode: 0o644 });
    const { ino } = fs.statSync(at('file'));
    await host.writeAtomic(at('file'), 'new', { mode: 0o640 });
    expect(fs.readFileSync(at('file'), 'utf8')).toBe('new');
    expect(modeOf(at('file'))).toBe(0o640);
    expect(fs.statSync(at('file')).ino).not.toBe(ino);
    expect(fs.readdirSync(folder)).toEqual(['file']);
  });

  it('replaces a symlink and does not write through it', async () => {
    fs.writeFileSync(at('victim'), 'mine');
    fs.symlinkSync('victim', at('link'));
    await host.writeAtomic(at('link'), 'new');
    expect(fs.readFileSync(at('victim'), 'utf8')).toBe('mine');
    expect(fs.lstatSync(at('link')).isFile()).toBe(true);
    fs.rmSync(at('link'));
    fs.symlinkSync('victim', at('link'));
    await expect(host.writeInPlace(at('link'), 'x')).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(host.append(at('link'), 'x')).rejects.toMatchObject({ code: 'ELOOP' });
    expect(fs.readFileSync(at('victim'), 'utf8')).toBe('mine');
  });

  it('cleans up what a killed write left, at the next write and at the removal', async () => {
    const leftover = at('.file.runspec-new');
    fs.writeFileSync(leftover, 'half');
    await host.writeAtomic(at('file'), 'whole');
    expect(fs.existsSync(leftover)).toBe(false);
    fs.writeFileSync(leftover, 'half');
    await host.removeFile(at('file'));
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('writes in place: the inode stays, shorter text leaves no tail, a missing file is not made', async () => {
    fs.writeFileSync(at('file'), 'a long text');
    const { ino } = fs.statSync(at('file'));
    await host.writeInPlace(at('file'), 'short');
    expect(fs.readFileSync(at('file'), 'utf8')).toBe('short');
    expect(fs.statSync(at('file')).ino).toBe(ino);
    await expect(host.writeInPlace(at('no'), 'x')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it("passes on the kernel's answer to a bad value, with the path", async () => {
    const file = '/proc/self/oom_score_adj';
    await expect(host.writeInPlace(file, '5000')).rejects.toMatchObject({ code: 'EINVAL', path: file });
  });
});

describe('append', () => {
  it('keeps the order of calls and writes those that queue up together', async () => {
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index}\n`);
    const before = fs.statSync(folder).mtimeMs;
    await Promise.all(lines.map((line) => host.append(at('log'), line)));
    expect(fs.readFileSync(at('log'), 'utf8')).toBe(lines.join(''));
    expect(modeOf(at('log'))).toBe(0o600);
    expect(before).toBeGreaterThan(0);
  });

  it('has the text on file when it resolves, and goes on after a failure', async () => {
    await host.append(at('log'), 'one\n');
    expect(fs.readFileSync(at('log'), 'utf8')).toBe('one\n');
    fs.renameSync(at('log'), at('away'));
    fs.mkdirSync(at('log'));
    await expect(host.append(at('log'), 'lost\n')).rejects.toMatchObject({ code: 'EISDIR' });
    fs.rmdirSync(at('log'));
    fs.renameSync(at('away'), at('log'));
    await host.append(at('log'), 'two\n');
    expect(fs.readFileSync(at('log'), 'utf8')).toBe('one\ntwo\n');
  });
});

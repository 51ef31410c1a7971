import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { buildSync } from 'esbuild';
import * as tar from 'tar';
import { describe, expect, it } from 'vitest';
import { ensureLayer } from '../../src/image/ensure-layer.ts';
import { layerPath } from '../../src/image/store.ts';
import { addArchive } from '../../src/image/unpack-tarball.ts';
import { archives, isRoot, layerContext, listTree, makeScratch } from './scratch.ts';
import { archive, entry, pax } from './write-tar.ts';

const digest = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
const capabilities = '0100000200040000000000000000000000000000';

/** Adds an archive to a store in a process of its own: DATA-DIR FILE; prints the key or the error. */
const ADD_ARCHIVE = `
import { createLinuxArchives } from './host/linux-archives.ts';
import { createLinuxHost } from './host/linux.ts';
import { addArchive } from './image/unpack-tarball.ts';
const [dataDir, file] = process.argv.slice(2);
const { signal } = new AbortController();
const context = { host: createLinuxHost(), archives: createLinuxArchives(), dataDir, signal, progress() {} };
await addArchive(context, file).then(console.log, (error) => console.log(error.message));
`;

/** A tree with everything that a root filesystem may hold. */
function makeTree(root: string): void {
  fs.mkdirSync(`${root}/bin`, { recursive: true });
  fs.writeFileSync(`${root}/bin/su`, 'su');
  fs.chownSync(`${root}/bin/su`, 12, 34);
  fs.chmodSync(`${root}/bin/su`, 0o6755);
  fs.linkSync(`${root}/bin/su`, `${root}/bin/sudo`);
  fs.symlinkSync('/bin/su', `${root}/bin/absolute`);
  fs.symlinkSync('../..', `${root}/bin/relative`);
  fs.symlinkSync('missing', `${root}/bin/dangling`);
  fs.mkdirSync(`${root}/tmp`);
  fs.chmodSync(`${root}/tmp`, 0o1777);
  fs.mkdirSync(`${root}/locked`);
  fs.writeFileSync(`${root}/locked/file with spaces\nand a line`, 'x');
  fs.chmodSync(`${root}/locked`, 0o500);
  fs.mkdirSync(`${root}/${'long/'.repeat(60)}`, { recursive: true });
  execFileSync('mkfifo', [`${root}/fifo`]);
  fs.writeFileSync(`${root}/old`, 'old');
  fs.utimesSync(`${root}/old`, 1_000_000_000.25, 1_000_000_000.25);
  fs.utimesSync(`${root}/locked`, 1_100_000_000, 1_100_000_000);
  const set = `import os; os.setxattr('${root}/old', 'user.note', b'kept'); os.setxattr('${root}/old', 'trusted.overlay.opaque', b'y'); os.setxattr('${root}/bin/su', 'security.capability', bytes.fromhex('${capabilities}'))`;
  if (python !== undefined) execFileSync(python, ['-c', set]);
}

const python = ['/usr/bin/python3', '/usr/local/bin/python3'].find((file) => fs.existsSync(file));
if (python === undefined) console.warn('not checked: extended attributes, which need python3 to be set');

describe.skipIf(!isRoot)('unpacking an archive', () => {
  const scratch = makeScratch();
  const tree = path.join(scratch, 'tree');
  makeTree(tree);
  const plain = path.join(scratch, 'plain.tar');
  const attributes = ['--xattrs', '--xattrs-include=*'];
  execFileSync('tar', ['-C', tree, ...attributes, '-cf', plain, '.']);
  const packed: Readonly<Record<string, () => Buffer>> = {
    plain: () => fs.readFileSync(plain),
    gzip: () => execFileSync('gzip', ['-c', plain]),
    'gzip of two parts': () =>
      Buffer.concat([
        execFileSync('sh', ['-c', `head -c 3000 ${plain} | gzip`]),
        execFileSync('sh', ['-c', `tail -c +3001 ${plain} | gzip`]),
      ]),
    xz: () => execFileSync('xz', ['-c', plain]),
    zstd: () => execFileSync('zstd', ['-qc', plain]),
    'GNU format': () => execFileSync('tar', ['-C', tree, '--format=gnu', '-cf', '-', '.']),
    'ustar format with short names': () =>
      execFileSync('tar', [
        '-C',
        tree,
        '--format=ustar',
        '-cf',
        '-',
        './bin',
        './tmp',
        './locked',
        './fifo',
        './old',
      ]),
  };

  for (const [name, bytes] of Object.entries(packed)) {
    it(`keeps owners, modes, links and names: ${name}`, async () => {
      const dataDir = path.join(scratch, name);
      fs.mkdirSync(dataDir);
      const file = path.join(dataDir, 'archive');
      fs.writeFileSync(file, bytes());
      const umask = process.umask(0o077);
      const key = await addArchive(layerContext(dataDir), file).finally(() => process.umask(umask));
      const layer = layerPath(dataDir, key);

      expect(key).toBe(digest(file));
      const wanted = listTree(tree).filter((line) => !name.startsWith('ustar') || !line.startsWith('long'));
      expect(listTree(layer)).toEqual(wanted);
      const [su, sudo] = ['su', 'sudo'].map((one) => fs.statSync(`${layer}/bin/${one}`));
      expect(su?.ino).toBe(sudo?.ino);
      const precise = ['plain', 'xz', 'zstd'].includes(name) || name.startsWith('gzip');
      expect(fs.statSync(`${layer}/old`).mtimeMs).toBe(precise ? 1_000_000_000_250 : 1_000_000_000_000);
      expect(fs.statSync(`${layer}/locked`).mtimeMs).toBe(1_100_000_000_000);
    });
  }

  it.each(['/', './', '//'])('takes the root folder by the name %s', async (name) => {
    const dataDir = fs.mkdtempSync(path.join(scratch, 'root-'));
    const file = path.join(dataDir, 'archive');
    const root = entry({ name, type: '5', mode: 0o711 });
    fs.writeFileSync(
      file,
      archive(root, entry({ name: 'a/', type: '5' }), entry({ name: 'a/b', data: 'x' })),
    );
    const layer = layerPath(dataDir, await addArchive(layerContext(dataDir), file));
    expect(fs.readdirSync(layer)).toEqual(['a']);
    expect(fs.readFileSync(`${layer}/a/b`, 'utf8')).toBe('x');
    expect(fs.statSync(layer).mode & 0o7777).toBe(0o711);
  });

  it.skipIf(python === undefined)(
    'keeps user attributes and capabilities, never what an overlay would obey',
    async () => {
      const dataDir = path.join(scratch, 'attributes');
      const layer = layerPath(dataDir, await addArchive(layerContext(dataDir), plain));
      const get = (file: string): string =>
        execFileSync(python ?? '', [
          '-c',
          `import os; print({n: os.getxattr('${layer}/${file}', n).hex() for n in os.listxattr('${layer}/${file}')})`,
        ]).toString();
      expect(get('old')).toBe(`{'user.note': '${Buffer.from('kept').toString('hex')}'}\n`);
      expect(get('bin/su')).toContain(capabilities);
    },
  );

  it('takes any amount of padding, which tar does not read to its end', async () => {
    const file = path.join(scratch, 'padded.tar');
    fs.writeFileSync(file, Buffer.concat([archive(entry({ name: 'a' })), Buffer.alloc(2 ** 24)]));
    const dataDir = path.join(scratch, 'padded');
    expect(await addArchive(layerContext(dataDir), file)).toBe(digest(file));
  });

  it('takes what npm packs', async () => {
    const file = path.join(scratch, 'npm.tgz');
    tar.create({ sync: true, gzip: true, file, cwd: tree }, ['bin', 'tmp', 'old', 'long']);
    const dataDir = path.join(scratch, 'npm');
    const layer = layerPath(dataDir, await addArchive(layerContext(dataDir), file));
    expect(listTree(layer)).toEqual(listTree(tree).filter((line) => /^(?:bin|tmp|old|long)/.test(line)));
  });

  it('gives folders that the archive does not list mode 755 whatever the umask', async () => {
    const file = path.join(scratch, 'implicit');
    fs.writeFileSync(file, archive(entry({ name: 'a/b/c', data: 'x' })));
    const dataDir = path.join(scratch, 'implicit-data');
    const umask = process.umask(0o077);
    const key = await addArchive(layerContext(dataDir), file).finally(() => process.umask(umask));
    expect(listTree(layerPath(dataDir, key))).toEqual(['a 40755 0:0', 'a/b 40755 0:0', 'a/b/c 100644 0:0']);
    expect(fs.statSync(layerPath(dataDir, key)).mode & 0o7777).toBe(0o755);
  });

  it('takes sparse files of an honest size, global comments and V7 folders', async () => {
    const sparse = path.join(scratch, 'sparse');
    fs.writeFileSync(sparse, '');
    fs.truncateSync(sparse, 10 * 2 ** 20);
    fs.writeFileSync(path.join(scratch, 'other'), '');
    for (const format of ['gnu', 'posix']) {
      const file = path.join(scratch, `sparse-${format}.tar`);
      execFileSync('tar', ['-C', scratch, '-S', `--format=${format}`, '-cf', file, 'sparse', 'other']);
      const dataDir = path.join(scratch, `sparse-${format}`);
      const key = await addArchive(layerContext(dataDir), file);
      expect(fs.statSync(`${layerPath(dataDir, key)}/sparse`).size).toBe(10 * 2 ** 20);
    }
    const file = path.join(scratch, 'odd.tar');
    fs.writeFileSync(
      file,
      archive(
        pax({ comment: 'a commit' }, 'g'),
        entry({ name: 'v7/', magic: '' }),
        entry({ name: 'v7/file', magic: '', data: 'x' }),
      ),
    );
    const dataDir = path.join(scratch, 'odd');
    expect(
      fs.readFileSync(`${layerPath(dataDir, await addArchive(layerContext(dataDir), file))}/v7/file`, 'utf8'),
    ).toBe('x');
  });

  it('ignores TAR_OPTIONS', async () => {
    process.env['TAR_OPTIONS'] = '--to-stdout';
    const dataDir = path.join(scratch, 'options');
    const key = await addArchive(layerContext(dataDir), plain).finally(
      () => delete process.env['TAR_OPTIONS'],
    );
    expect(fs.existsSync(`${layerPath(dataDir, key)}/old`)).toBe(true);
  });

  it('is done once by two that want the same layer', async () => {
    const dataDir = path.join(scratch, 'twice');
    const key = digest(plain);
    const recipe = {
      kind: 'tarball',
      key,
      path: layerPath(dataDir, key),
      tarball: plain,
      sha256: key,
    } as const;
    const contexts = [layerContext(dataDir), layerContext(dataDir)];
    await Promise.all(contexts.map((context) => ensureLayer(context, recipe)));
    expect(contexts.flatMap(({ said }) => said.filter((text) => text.startsWith('unpacked')))).toHaveLength(
      1,
    );
    expect(fs.readdirSync(`${dataDir}/images/layers`)).toEqual([key, `${key}.json`]);
    expect(fs.readdirSync(`${dataDir}/images/locks`)).toEqual([]);
    expect(fs.readdirSync(`${dataDir}/images/tmp`)).toEqual([]);
  });

  it('checks the pin before anything is unpacked', async () => {
    const dataDir = path.join(scratch, 'pin');
    const key = '0'.repeat(64);
    const recipe = {
      kind: 'tarball',
      key,
      path: layerPath(dataDir, key),
      tarball: plain,
      sha256: key,
    } as const;
    const context = layerContext(dataDir);
    await expect(ensureLayer(context, recipe)).rejects.toThrow(
      `${plain} has sha256 ${digest(plain)}, not ${key}`,
    );
    expect(fs.readdirSync(`${dataDir}/images/layers`)).toEqual([]);
    expect(context.said).toEqual([]);
  });

  it('stops when interrupted and leaves nothing', async () => {
    const dataDir = path.join(scratch, 'stopped');
    const controller = new AbortController();
    const reason = new Error('interrupted');
    const stopped: typeof archives = {
      ...archives,
      unpack: (...given) => {
        const unpacking = archives.unpack(...given);
        controller.abort(reason);
        return unpacking;
      },
    };
    const context = { ...layerContext(dataDir, controller.signal), archives: stopped };
    await expect(addArchive(context, plain)).rejects.toBe(reason);
    for (const folder of ['tmp', 'layers']) expect(fs.readdirSync(`${dataDir}/images/${folder}`)).toEqual([]);
  });

  it('says that the disk is full and cleans up', async () => {
    const disk = path.join(scratch, 'disk');
    fs.mkdirSync(disk);
    const file = path.join(scratch, 'large');
    const random = execFileSync('head', ['-c', '6000000', '/dev/urandom'], { maxBuffer: 2 ** 24 });
    fs.writeFileSync(file, archive(entry({ name: 'large', data: random })));
    // The small disk exists in a mount namespace of its own only.
    const script = path.join(scratch, 'full.mjs');
    buildSync({
      stdin: { contents: ADD_ARCHIVE, resolveDir: 'src', loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: script,
    });
    const shell =
      'mount -t tmpfs -o size=2m tmpfs "$1" && node "$2" "$1" "$3"; ls -A "$1/images/tmp" "$1/images/layers"';
    const output = execFileSync('unshare', [
      '--mount',
      'sh',
      '-c',
      shell,
      'sh',
      disk,
      script,
      file,
    ]).toString();
    expect(output).toBe(
      `${file}: cannot unpack: no space left on the disk\n${disk}/images/layers:\n\n${disk}/images/tmp:\n`,
    );
  });
});

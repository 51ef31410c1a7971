import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureLayer } from '../../src/image/ensure-layer.ts';
import { hasFreshHashes } from '../../src/image/hash-cache.ts';
import { resolveLayers } from '../../src/image/resolve-layers.ts';
import { addArchive } from '../../src/image/unpack-tarball.ts';
import type { Spec } from '../../src/load/spec.ts';
import { archives, host, isRoot, layerContext, listTree, makeScratch, specOf } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const folder = (name: string): Buffer => entry({ name, type: '5', mode: 0o755 });
const image = archive(
  folder('usr/'),
  folder('usr/bin/'),
  entry({ name: 'bin', type: '2', link: 'usr/bin' }),
  entry({ name: 'srv/', type: '5', mode: 0o710 }),
);
const other = archive(entry({ name: 'other', data: 'x' }));

/** Until nothing that is written from now on can have the time of what was written before. */
const pass = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));

describe.skipIf(!isRoot)('the layers of a spec', () => {
  const scratch = makeScratch();
  const tarball = path.join(scratch, 'image.tar');
  fs.writeFileSync(tarball, image);
  const base = { kind: 'tarball', tarball } as const;
  const store = (name: string): string => path.join(scratch, name);
  const resolve = (dataDir: string, spec: Spec): ReturnType<typeof resolveLayers> =>
    resolveLayers(host, archives, dataDir, spec);
  const make = async (dataDir: string, spec: Spec): Promise<readonly string[]> => {
    const { layers, diagnostics, unfetched } = await resolve(dataDir, spec);
    expect({ diagnostics, unfetched }).toEqual({ diagnostics: [], unfetched: [] });
    for (const { recipe } of layers)
      if (recipe !== undefined) await ensureLayer(layerContext(dataDir), recipe);
    return layers.map((layer) => layer.path);
  };

  it('are only looked at by resolving', async () => {
    const before = listTree(scratch);
    const { layers } = await resolve(
      store('unmade'),
      specOf(base, { kind: 'files', files: { '/a': { text: '', mode: 0o644, uid: 0, gid: 0 } } }),
    );
    expect(layers).toHaveLength(2);
    expect(listTree(scratch)).toEqual(before);
  });

  it('lie where only root can reach them', async () => {
    const dataDir = store('private');
    await make(dataDir, specOf(base));
    for (const one of ['', '/layers', '/tmp', '/refs', '/hashes', '/locks'])
      expect(fs.statSync(`${dataDir}/images${one}`).mode & 0o777).toBe(0o700);
    fs.chmodSync(`${dataDir}/images`, 0o755);
    await expect(addArchive(layerContext(dataDir), tarball)).rejects.toThrow(
      /images is open to others \(mode 755 of user 0\)/,
    );
  });

  it('put inline files where the symlinks of the image lead', async () => {
    const files = {
      '/bin/tool': { text: 'tool', mode: 0o4755, uid: 3, gid: 4 },
      '/srv/page': { text: 'page\n', mode: 0o644, uid: 0, gid: 0 },
      '/etc/deep/new': { text: '', mode: 0o600, uid: 0, gid: 0 },
    };
    const [, layer = ''] = await make(store('files'), specOf(base, { kind: 'files', files }));
    expect(listTree(layer)).toEqual([
      'etc 40755 0:0',
      'etc/deep 40755 0:0',
      'etc/deep/new 100600 0:0',
      'srv 40710 0:0',
      'srv/page 100644 0:0',
      'usr 40755 0:0',
      'usr/bin 40755 0:0',
      'usr/bin/tool 104755 3:4',
    ]);
    expect(fs.readFileSync(`${layer}/srv/page`, 'utf8')).toBe('page\n');
  });

  it('copy a folder to its destination, and again only when it changed', async () => {
    const dataDir = store('folder');
    const site = path.join(scratch, 'site');
    fs.mkdirSync(`${site}/sub`, { recursive: true });
    fs.writeFileSync(`${site}/index.html`, 'hello', { mode: 0o640 });
    fs.linkSync(`${site}/index.html`, `${site}/sub/same`);
    fs.chownSync(`${site}/sub`, 7, 8);
    fs.symlinkSync('/etc/passwd', `${site}/link`);
    const spec = specOf(base, { kind: 'directory', directory: site, destination: '/srv/../bin/www' });
    const [, layer = ''] = await make(dataDir, spec);
    expect(listTree(`${layer}/usr/bin/www`)).toEqual(listTree(site));
    expect(fs.statSync(`${layer}/usr/bin/www/sub/same`).ino).toBe(
      fs.statSync(`${layer}/usr/bin/www/index.html`).ino,
    );

    expect(await make(dataDir, spec)).toContain(layer);
    execFileSync('cp', ['-a', site, `${site}-copy`]);
    const copied = await make(
      dataDir,
      specOf(base, { kind: 'directory', directory: `${site}-copy`, destination: '/srv/../bin/www' }),
    );
    expect(copied).toContain(layer);
    // As a package of releases does that all have one time.
    const times = fs.statSync(`${site}/index.html`);
    fs.writeFileSync(`${site}/index.html`, 'HELLO');
    fs.utimesSync(`${site}/index.html`, times.atime, times.mtime);
    const [, changed = ''] = await make(dataDir, spec);
    expect(changed).not.toBe(layer);
    expect(fs.readFileSync(`${changed}/usr/bin/www/index.html`, 'utf8')).toBe('HELLO');
    // Cloned anew, linked to by a backup: the same content.
    fs.utimesSync(`${site}/index.html`, 1_000_000_000, 1_000_000_000);
    fs.linkSync(`${site}/index.html`, path.join(scratch, 'backup'));
    expect(await make(dataDir, spec)).toContain(changed);
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'new', `${site}/index.html`]);
    expect(await make(dataDir, spec)).not.toContain(changed);
  });

  it('copy one folder of several whose files have the same names, sizes and times', async () => {
    const dataDir = store('folders');
    for (const text of ['one', 'two']) {
      const folder = path.join(scratch, text);
      fs.mkdirSync(folder);
      fs.writeFileSync(`${folder}/file`, text);
      fs.utimesSync(`${folder}/file`, 1, 1);
      const spec = specOf(base, { kind: 'directory', directory: folder, destination: '/srv' });
      const [, layer = ''] = await make(dataDir, spec);
      expect(fs.readFileSync(`${layer}/srv/file`, 'utf8')).toBe(text);
    }
  });

  it('do not have a folder read again while it is the same', async () => {
    const dataDir = store('known');
    const directory = path.join(scratch, 'known-folder');
    fs.mkdirSync(directory);
    fs.writeFileSync(`${directory}/file`, 'text');
    await pass();
    const spec = specOf(base, { kind: 'directory', directory, destination: '/srv' });
    const [, layer = ''] = await make(dataDir, spec);
    const blind = { ...archives, digest: () => Promise.reject(new Error('the folder was read again')) };
    expect((await resolveLayers(host, blind, dataDir, spec)).layers[1]?.path).toBe(layer);
    fs.writeFileSync(`${directory}/file`, 'TEXT');
    await expect(resolveLayers(host, blind, dataDir, spec)).rejects.toThrow(/read again/);
  });

  it('use a rootfs folder in place', async () => {
    fs.symlinkSync(scratch, `${scratch}-link`);
    const { layers } = await resolve(
      store('place'),
      specOf({ kind: 'directory', directory: `${scratch}-link` }),
    ).finally(() => fs.unlinkSync(`${scratch}-link`));
    expect(layers).toEqual([{ path: scratch }]);
  });

  it('have other keys over other lower layers', async () => {
    const files = { '/bin/tool': { text: 'tool', mode: 0o755, uid: 0, gid: 0 } };
    fs.writeFileSync(`${scratch}/other.tar`, other);
    const over = await resolve(store('keys'), specOf(base, { kind: 'files', files }));
    const under = await resolve(
      store('keys'),
      specOf({ kind: 'tarball', tarball: `${scratch}/other.tar` }, { kind: 'files', files }),
    );
    expect(over.layers[1]?.path).not.toBe(under.layers[1]?.path);
  });

  it('tell what is missing, where in the spec', async () => {
    const spec = specOf(
      { kind: 'tarball', tarball: `${scratch}/none.tar` },
      { kind: 'directory', directory: `${scratch}/none`, destination: '/' },
      { kind: 'tarball', tarball: scratch, sha256: '1'.repeat(64) },
      { kind: 'tarball', tarball: 'http://example.org/x.tar' },
      { kind: 'directory', directory: tarball, destination: '/' },
    );
    const { diagnostics } = await resolve(store('missing'), spec);
    expect(diagnostics.map(({ code, path: where }) => `${where.join('.')} ${code}`)).toEqual([
      'rootfs.tarball missing-tarball',
      'layers.0.directory missing-directory',
      'layers.1.tarball not-a-file',
      'layers.2.tarball insecure-url',
      'layers.3.directory not-a-directory',
    ]);
    const { diagnostics: images } = await resolve(
      store('missing'),
      specOf({ kind: 'image', image: 'oci:./x' }),
    );
    expect(images).toEqual([
      expect.objectContaining({ code: 'unreadable-image', path: ['rootfs', 'image'] }),
    ]);
  });

  it('need no file and no network once they are in the store', async () => {
    const dataDir = store('kept');
    const key = await addArchive(layerContext(dataDir), tarball);
    for (const source of ['/nowhere/image.tar', 'https://nowhere.invalid/image.tar']) {
      expect(await make(dataDir, specOf({ kind: 'tarball', tarball: source, sha256: key }))).toEqual([
        `${dataDir}/images/layers/${key}`,
      ]);
    }
  });

  it('are not read again while the archive is the same', async () => {
    const dataDir = store('cache');
    const file = path.join(scratch, 'cached.tar');
    fs.writeFileSync(file, image);
    await pass();
    await make(dataDir, specOf({ kind: 'tarball', tarball: file }));
    const blind = { ...archives, hash: () => Promise.reject(new Error('the archive was read again')) };
    const spec = specOf({ kind: 'tarball', tarball: file });
    expect((await resolveLayers(host, blind, dataDir, spec)).layers[0]?.recipe?.key).toBe(sha256(image));
    // Fetched anew: what it holds was unpacked before.
    fs.utimesSync(file, 1_000_000_001, 1_000_000_001);
    await pass();
    await expect(resolveLayers(host, blind, dataDir, spec)).rejects.toThrow(/read again/);
    const { signal } = new AbortController();
    await resolveLayers(host, archives, dataDir, spec, signal, true);
    expect((await resolveLayers(host, blind, dataDir, spec)).layers[0]?.recipe?.key).toBe(sha256(image));
    fs.writeFileSync(file, other);
    await expect(resolveLayers(host, blind, dataDir, spec)).rejects.toThrow(/read again/);
    expect((await resolve(dataDir, spec)).layers[0]?.recipe?.key).toBe(sha256(other));
  });

  it('are read once by a call, however many ask, until it is remembered that they were', async () => {
    const dataDir = store('once');
    const file = path.join(scratch, 'shared.tar');
    fs.writeFileSync(file, image);
    await pass();
    const spec = specOf({ kind: 'tarball', tarball: file });
    await addArchive(layerContext(dataDir), tarball);
    let reads = 0;
    const counting: typeof archives = {
      ...archives,
      hash: (...args) => {
        reads += 1;
        return archives.hash(...args);
      },
    };
    const { signal } = new AbortController();
    const look = (mayWrite: boolean) => resolveLayers(host, counting, dataDir, spec, signal, mayWrite);
    await Promise.all([look(false), look(false)]);
    expect([reads, hasFreshHashes(counting)]).toEqual([1, true]);
    await look(true);
    expect([reads, hasFreshHashes(counting)]).toEqual([1, false]);
    await look(false);
    expect([reads, hasFreshHashes(counting)]).toEqual([1, false]);
    // Written a moment ago, it could be written again without another time.
    fs.writeFileSync(file, image);
    await look(false);
    await look(false);
    expect(reads).toBe(3);
  });
});

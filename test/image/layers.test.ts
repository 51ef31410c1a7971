import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectGarbage, listLayers } from '../../src/image/collect.ts';
import { ensureLayer } from '../../src/image/ensure-layer.ts';
import { fetchUnpinned, resolveLayers } from '../../src/image/resolve-layers.ts';
import { processIdentity, removeStaleWork } from '../../src/image/store.ts';
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
    fs.writeFileSync(`${site}/index.html`, 'HELLO');
    expect(await make(dataDir, spec)).not.toContain(layer);
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
    expect(images).toEqual([expect.objectContaining({ code: 'not-supported', path: ['rootfs', 'image'] })]);
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
    fs.utimesSync(file, 1_000_000_000, 1_000_000_000);
    await make(dataDir, specOf({ kind: 'tarball', tarball: file }));
    const blind = { ...archives, hash: () => Promise.reject(new Error('the archive was read again')) };
    const spec = specOf({ kind: 'tarball', tarball: file });
    expect((await resolveLayers(host, blind, dataDir, spec)).layers[0]?.recipe?.key).toBe(sha256(image));
    fs.writeFileSync(file, other);
    await expect(resolveLayers(host, blind, dataDir, spec)).rejects.toThrow(/read again/);
    expect((await resolve(dataDir, spec)).layers[0]?.recipe?.key).toBe(sha256(other));
  });
});

describe.skipIf(!isRoot)('an archive from the network', () => {
  const scratch = makeScratch();
  let asked = 0;
  const server = http.createServer((request, response) => {
    asked += 1;
    if (request.url === '/image.tar') response.end(image);
    else if (request.url === '/moved') response.writeHead(302, { location: '/image.tar' }).end();
    else if (request.url === '/circle') response.writeHead(302, { location: '/circle' }).end();
    else if (request.url === '/elsewhere') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    else if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': image.length }).write(image.subarray(0, 700));
      setTimeout(() => response.destroy(), 20);
    } else response.writeHead(404).end('no');
  });
  let origin = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());
  const fetchTo = (name: string, url: string): Promise<void> =>
    fetchUnpinned(layerContext(path.join(scratch, name)), specOf({ kind: 'tarball', tarball: origin + url }));

  it('is fetched once when it has no pin, and remembered', async () => {
    const dataDir = path.join(scratch, 'unpinned');
    const spec = specOf({ kind: 'tarball', tarball: `${origin}/moved` });
    expect(await resolveLayers(host, archives, dataDir, spec)).toEqual({
      layers: [],
      diagnostics: [],
      unfetched: [`${origin}/moved`],
    });
    await fetchTo('unpinned', '/moved');
    const before = asked;
    await fetchTo('unpinned', '/moved');
    const { layers, unfetched } = await resolveLayers(host, archives, dataDir, spec);
    expect({ asked, unfetched, key: layers[0]?.recipe?.key }).toEqual({
      asked: before,
      unfetched: [],
      key: sha256(image),
    });
    expect(fs.readdirSync(`${dataDir}/images/tmp`)).toEqual([]);
  });

  it('is fetched by apply when it is pinned, and refused when it is another', async () => {
    const dataDir = path.join(scratch, 'pinned');
    for (const [pin, outcome] of [
      [sha256(image), 'made'],
      [sha256(other), /has sha256 .*, not /],
    ] as const) {
      const { layers } = await resolveLayers(
        host,
        archives,
        dataDir,
        specOf({ kind: 'tarball', tarball: `${origin}/image.tar`, sha256: pin }),
      );
      const recipe = layers[0]?.recipe;
      if (recipe === undefined) throw new Error('no layer');
      const made = ensureLayer(layerContext(dataDir), recipe).then(() => 'made');
      if (outcome === 'made') expect(await made).toBe(outcome);
      else await expect(made).rejects.toThrow(outcome);
    }
    expect(fs.readdirSync(`${dataDir}/images/layers`)).toEqual([sha256(image), `${sha256(image)}.json`]);
  });

  it.each([
    ['/missing', /\/missing answered 404 Not Found/],
    ['/circle', /redirects more than 10 times/],
    ['/elsewhere', /neither http nor https/],
    ['/cut', /cannot fetch .*\/cut|ended after 700 of/],
  ])('that fails says why and leaves nothing: %s', async (url, message) => {
    await expect(fetchTo(`failed${url}`, url)).rejects.toThrow(message);
    for (const one of ['tmp', 'layers', 'refs'])
      expect(fs.readdirSync(`${scratch}/failed${url}/images/${one}`)).toEqual([]);
  });

  it('is not longer than the room there is', async () => {
    const target = path.join(scratch, 'long');
    const options = {
      limit: 100,
      pinned: true,
      signal: new AbortController().signal,
      progress: () => undefined,
    };
    await expect(archives.download(`${origin}/image.tar`, target, options)).rejects.toThrow(
      /larger than 0.0 MiB/,
    );
  });
});

describe.skipIf(!isRoot)('collecting garbage', () => {
  const scratch = makeScratch();
  const addBytes = async (name: string, bytes: Buffer): Promise<string> => {
    fs.writeFileSync(`${scratch}/${name}.tar`, bytes);
    return addArchive(layerContext(`${scratch}/data`), `${scratch}/${name}.tar`);
  };
  const dataDir = path.join(scratch, 'data');

  it('keeps what containers refer to, applied or pending, and removes the rest with all about it', async () => {
    const [applied, pending, unused] = [
      await addBytes('a', image),
      await addBytes('b', other),
      await addBytes('c', archive(entry({ name: 'c' }))),
    ];
    for (const [name, file, key] of [
      ['web', 'plan.json', applied],
      ['db', 'pending.json', pending],
    ] as const) {
      fs.mkdirSync(`${dataDir}/containers/${name}`, { recursive: true });
      fs.writeFileSync(
        `${dataDir}/containers/${name}/${file}`,
        JSON.stringify({ steps: [{ op: 'overlay', lower: [`${dataDir}/images/layers/${key}`] }] }),
      );
    }
    fs.writeFileSync(`${dataDir}/images/layers/${'f'.repeat(64)}.json`, '{}');
    const { layers } = await collectGarbage(host, dataDir);
    expect(layers.map((layer) => layer.key)).toEqual([unused]);
    expect(fs.readdirSync(`${dataDir}/images/layers`).toSorted()).toEqual(
      [applied, `${applied}.json`, pending, `${pending}.json`].toSorted(),
    );
    expect(fs.readdirSync(`${dataDir}/images/hashes`).length).toBeLessThanOrEqual(2);
    expect(fs.readdirSync(`${dataDir}/images/tmp`)).toEqual([]);
    const users = (await listLayers(host, dataDir)).map(({ key, usedBy }) => [key, usedBy]);
    expect(Object.fromEntries(users)).toEqual({ [applied]: ['web'], [pending]: ['db'] });
  });

  it('removes the unfinished work of dead processes only', async () => {
    const own = processIdentity(fs.readFileSync('/proc/self/stat', 'utf8'));
    const [pid, start] = own?.split('-') ?? [];
    const work = `${dataDir}/images/tmp`;
    const names = {
      live: `${own}-0`,
      dead: '4194305-1-0',
      reused: `${pid}-${Number(start) - 1}-0`,
      foreign: 'rubbish',
    };
    for (const name of Object.values(names)) fs.mkdirSync(`${work}/${name}/layer`, { recursive: true });
    expect([...(await removeStaleWork(host, dataDir))].toSorted()).toEqual(
      [names.dead, names.reused, names.foreign].toSorted(),
    );
    expect(fs.readdirSync(work)).toEqual([names.live]);
  });

  it('does nothing where there is no store', async () => {
    expect(await collectGarbage(host, `${scratch}/nothing`)).toEqual({ layers: [], leftovers: 0 });
    expect(fs.existsSync(`${scratch}/nothing`)).toBe(false);
  });
});

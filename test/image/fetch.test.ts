import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureLayer } from '../../src/image/ensure-layer.ts';
import { fetchSources } from '../../src/image/fetch-sources.ts';
import { resolveLayers } from '../../src/image/resolve-layers.ts';
import { addArchive, measureArchive } from '../../src/image/unpack-tarball.ts';
import { archives, host, isRoot, layerContext, makeScratch, specOf } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const image = archive(entry({ name: 'file', data: 'x'.repeat(2000) }));
const other = archive(entry({ name: 'other', data: 'x' }));

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
    fetchSources(layerContext(path.join(scratch, name)), specOf({ kind: 'tarball', tarball: origin + url }), {
      local: false,
    });

  it('is fetched once when it has no pin, and remembered', async () => {
    const dataDir = path.join(scratch, 'unpinned');
    const spec = specOf({ kind: 'tarball', tarball: `${origin}/moved` });
    expect(await resolveLayers(host, archives, dataDir, spec)).toEqual({
      layers: [],
      diagnostics: [],
      unfetched: [{ url: `${origin}/moved`, path: ['rootfs', 'tarball'] }],
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
    const makePinned = async (pin: string): Promise<void> => {
      const spec = specOf({ kind: 'tarball', tarball: `${origin}/image.tar`, sha256: pin });
      const recipe = (await resolveLayers(host, archives, dataDir, spec)).layers[0]?.recipe;
      if (recipe === undefined) throw new Error('no layer');
      await ensureLayer(layerContext(dataDir), recipe);
    };
    await makePinned(sha256(image));
    await expect(makePinned(sha256(other))).rejects.toThrow(/image.tar has sha256 .*, not /);
    expect(fs.readdirSync(`${dataDir}/images/layers`)).toEqual([sha256(image), `${sha256(image)}.json`]);
  });

  it('is measured without the network when it is pinned and in the store', async () => {
    const context = layerContext(path.join(scratch, 'measured'));
    const file = path.join(scratch, 'measured.tar.gz');
    const stored = gzipSync(image);
    fs.writeFileSync(file, stored);
    const key = await addArchive(context, file);
    const before = asked;
    const found = await measureArchive(context, `${origin}/missing`, key);
    expect({ asked, ...found }).toEqual({ asked: before, sha256: sha256(stored), size: stored.length });
    await expect(measureArchive(context, `${origin}/missing`, sha256(other))).rejects.toThrow('404');
  });

  it.each([
    ['/missing', /\/missing answered 404 Not Found/],
    ['/circle', /redirects more than 10 times/],
    ['/elsewhere', /neither http nor https/],
    ['/cut', /cannot fetch .*\/cut|ended after 700 of/],
  ])('that fails says why and leaves nothing: %s', async (url, message) => {
    await expect(fetchTo(`failed${url}`, url)).rejects.toMatchObject({
      message: expect.stringMatching(message) as string,
      path: ['rootfs', 'tarball'],
    });
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

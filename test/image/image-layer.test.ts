import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { layerKey } from '../../src/image/digest.ts';
import { makeImageLayer } from '../../src/image/image-layer.ts';
import type { ImageLayer } from '../../src/image/image.ts';
import type { LayerProgress } from '../../src/image/layer-progress.ts';
import { layerPath } from '../../src/image/store.ts';
import { blobPath, digestOf, writeLayout } from '../support/oci-layout.ts';
import { isRoot, layerContext, listTree, makeScratch } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

const OCI = 'application/vnd.oci.image.layer.v1.tar';
const DOCKER = 'application/vnd.docker.image.rootfs.diff.tar';
const tar = archive(entry({ name: 'a/', type: '5', mode: 0o755 }), entry({ name: 'a/b', data: 'x' }));
const sha512 = (bytes: Buffer): string => `sha512:${createHash('sha512').update(bytes).digest('hex')}`;

/** An honest layer of these bytes, but for what `lies` says. */
function layerOf(
  bytes: Buffer,
  mediaType: string,
  lies: { size?: number; digest?: string; diffId?: string } = {},
): ImageLayer {
  const { size = bytes.length, digest = digestOf(bytes), diffId = digestOf(tar) } = lies;
  return { descriptor: { mediaType, digest, size }, diffId };
}

describe.skipIf(!isRoot)('a layer of an image', () => {
  const scratch = makeScratch();
  let made = 0;

  async function make(layer: ImageLayer, bytes: Buffer, dataDir = newFolder()): Promise<string> {
    const open = async (): Promise<Readable> => Readable.from([bytes]);
    await makeImageLayer(layerContext(dataDir), 'oci:x:y', layer, open);
    return layerPath(dataDir, layerKey(layer.diffId));
  }

  function newFolder(): string {
    const folder = path.join(scratch, String((made += 1)));
    fs.mkdirSync(folder);
    return folder;
  }

  const layout = path.join(scratch, 'layout');
  const { layers } = writeLayout(layout, 'x', {
    layers: [{ tar }, { tar, compression: 'none' }, { tar, compression: 'zstd' }],
  });
  const blobs = layers.map(({ descriptor }) => fs.readFileSync(blobPath(layout, descriptor.digest)));

  for (const [index, mediaType] of [
    [0, `${OCI}+gzip`],
    [1, OCI],
    [2, `${OCI}+zstd`],
    [0, `${DOCKER}.gzip`],
    [1, DOCKER],
    [2, `${DOCKER}.zstd`],
  ] as const) {
    const bytes = blobs[index] ?? Buffer.alloc(0);
    it(`is unpacked by its media type: ${mediaType}`, async () => {
      const made = await make(layerOf(bytes, mediaType), bytes);
      expect(listTree(made)).toEqual(['a 40755 0:0', 'a/b 100644 0:0']);
      const record = JSON.parse(fs.readFileSync(`${made}.json`, 'utf8')) as unknown;
      expect(record).toMatchObject({ source: 'oci:x:y', entries: 2, size: 1 });
    });
    for (const [other, label] of [
      [0, `${OCI}+gzip`],
      [1, OCI],
      [2, `${OCI}+zstd`],
    ] as const) {
      if (other === index) continue;
      it(`is refused when it is mislabelled: ${mediaType} that is ${label}`, async () => {
        const lie = blobs[other] ?? Buffer.alloc(0);
        await expect(make(layerOf(lie, mediaType), lie)).rejects.toThrow(/said to be compressed with/);
      });
    }
  }

  it('says how far it is, from nothing to the whole, and once that it is in the store', async () => {
    const large = archive(entry({ name: 'a', data: 'x'.repeat(4 * 2 ** 20) }));
    const layer = layerOf(large, OCI, { diffId: digestOf(large) });
    const events: LayerProgress[] = [];
    const context = {
      ...layerContext(newFolder()),
      layerProgress: (event: LayerProgress) => void events.push(event),
    };
    const slow = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < large.length; at += 2 ** 20) {
        await setTimeout(150);
        yield large.subarray(at, at + 2 ** 20);
      }
    };
    await makeImageLayer(context, 'oci:x:y', layer, async () => Readable.from(slow()));
    const key = layerKey(layer.diffId);
    expect(events.every((event) => event.layer === key && event.total === large.length)).toBe(true);
    expect(events.map(({ phase }) => phase).filter((phase) => phase === 'unpacked')).toHaveLength(1);
    expect(events[0]).toMatchObject({ phase: 'unpacking', done: 0 });
    expect(events.at(-1)).toMatchObject({ phase: 'unpacked', done: large.length });
    const done = events.map((event) => event.done);
    expect(done.length).toBeGreaterThan(3);
    expect(done).toEqual(done.toSorted((one, other) => one - other));
    expect(context.said).toEqual([]);
  });

  const gzip = gzipSync(tar);
  const type = `${OCI}+gzip`;
  const wrong = digestOf(Buffer.from('other'));
  const cases: readonly (readonly [string, ImageLayer, Buffer, RegExp])[] = [
    ['another digest', layerOf(gzip, type, { digest: wrong }), gzip, /has the digest sha256:/],
    ['another diff id', layerOf(gzip, type, { diffId: wrong }), gzip, /has the diff id sha256:/],
    ['another sha512 digest', layerOf(gzip, type, { digest: sha512(tar) }), gzip, /the digest sha512:/],
    ['too small a size', layerOf(gzip, type, { size: gzip.length - 1 }), gzip, /more than the \d+ bytes/],
    ['too large a size', layerOf(gzip, type, { size: gzip.length + 1 }), gzip, /\d+ of the \d+ bytes/],
    ['a cut stream', layerOf(gzip, type), gzip.subarray(0, -20), /\d+ of the \d+ bytes|unexpected end/],
    ['an empty stream', layerOf(gzip, type), Buffer.alloc(0), /0 of the \d+ bytes/],
    [
      'an unknown media type',
      layerOf(gzip, 'application/x-tar'),
      gzip,
      /unknown media type application\/x-tar/,
    ],
    [
      'a digest that is a path',
      layerOf(gzip, type, { digest: 'sha256:../../..' }),
      gzip,
      /no sha256 or sha512/,
    ],
    [
      'a diff id that is a path',
      layerOf(gzip, type, { diffId: 'sha256:../../..' }),
      gzip,
      /no sha256 or sha512/,
    ],
    ['a short digest', layerOf(gzip, type, { digest: 'sha256:00' }), gzip, /no sha256 or sha512/],
    [
      'an upper-case digest',
      layerOf(gzip, type, { digest: wrong.toUpperCase() }),
      gzip,
      /no sha256 or sha512/,
    ],
  ];
  for (const [name, layer, bytes, refusal] of cases) {
    it(`is refused and leaves nothing: ${name}`, async () => {
      const dataDir = newFolder();
      await expect(make(layer, bytes, dataDir)).rejects.toThrow(refusal);
      expect(listTree(dataDir).filter((line) => /^images\/(?:layers|tmp)\//.test(line))).toEqual([]);
    });
  }

  it('is taken with digests of sha512', async () => {
    const layer = layerOf(gzip, type, { digest: sha512(gzip), diffId: sha512(tar) });
    expect(listTree(await make(layer, gzip))).toEqual(['a 40755 0:0', 'a/b 100644 0:0']);
  });

  it('is not made when its source breaks off', async () => {
    const broken = new Readable({
      read() {
        this.push(gzip.subarray(0, 30));
        this.destroy(new Error('connection reset'));
      },
    });
    const dataDir = path.join(scratch, 'broken');
    fs.mkdirSync(dataDir);
    const context = layerContext(dataDir);
    await expect(makeImageLayer(context, 'oci:x:y', layerOf(gzip, type), async () => broken)).rejects.toThrow(
      /connection reset/,
    );
    expect(fs.readdirSync(`${dataDir}/images/layers`)).toEqual([]);
  });
});

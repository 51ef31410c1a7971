import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Image, ImageSource } from '../../src/image/image.ts';
import { platformOf } from '../../src/image/platform.ts';
import { readImage } from '../../src/image/read-image.ts';

const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker';
const INDEX = `${OCI}.index.v1+json`;
const MANIFEST = `${OCI}.manifest.v1+json`;
const LAYER = `${OCI}.layer.v1.tar+gzip`;

type Json = Readonly<Record<string, unknown>>;

const bytesOf = (document: unknown): Buffer =>
  Buffer.isBuffer(document) ? document : Buffer.from(JSON.stringify(document));
const sha = (text: string | Buffer): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** Documents by digest, and a root among them: as a registry would have it. */
class Shelf {
  readonly documents = new Map<string, Buffer>();

  put(document: unknown, mediaType: string, more: Json = {}): Json {
    const bytes = bytesOf(document);
    this.documents.set(sha(bytes), bytes);
    return { mediaType, digest: sha(bytes), size: bytes.length, ...more };
  }

  source(root: unknown, mediaType: string, pin?: string): ImageSource {
    return {
      reference: 'test:image',
      ...(pin === undefined ? {} : { pin }),
      readRoot: async () => ({ mediaType, bytes: bytesOf(root) }),
      readDocument: async ({ digest }, limit) => {
        const bytes = this.documents.get(digest);
        if (bytes === undefined) throw new Error(`${digest} is missing`);
        return bytes.subarray(0, limit);
      },
      openBlob: async () => Readable.from([]),
    };
  }
}

interface Parts {
  readonly config?: Json;
  readonly manifest?: Json;
  readonly descriptor?: Json;
  readonly layer?: Json;
  readonly platform?: string;
}

/** The manifest of an image with one layer; every part of it can be replaced. */
function manifestOf(shelf: Shelf, { config, manifest, descriptor, layer, platform = 'amd64' }: Parts): Json {
  const document = {
    os: 'linux',
    architecture: platform,
    rootfs: { type: 'layers', diff_ids: [sha('a')] },
    ...config,
  };
  return {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { ...shelf.put(document, `${OCI}.config.v1+json`), ...descriptor },
    layers: [{ mediaType: LAYER, digest: sha('b'), size: 7, ...layer }],
    ...manifest,
  };
}

const read = (source: ImageSource, architecture = 'x64'): Promise<Image> =>
  readImage(source, platformOf(architecture));

function readParts(parts: Parts): Promise<Image> {
  const shelf = new Shelf();
  return read(shelf.source(manifestOf(shelf, parts), MANIFEST));
}

describe('a manifest', () => {
  it('gives the image with its layers', async () => {
    const shelf = new Shelf();
    const manifest = manifestOf(shelf, {});
    expect(
      await read(shelf.source(manifest, `${MANIFEST}; charset=utf-8`, sha(bytesOf(manifest)))),
    ).toMatchObject({
      reference: 'test:image',
      digest: sha(bytesOf(manifest)),
      platform: { os: 'linux', architecture: 'amd64' },
      config: {},
      layers: [{ diffId: sha('a'), descriptor: { mediaType: LAYER, digest: sha('b'), size: 7 } }],
    });
  });

  it.each<[string, Parts, RegExp]>([
    ['of an artifact', { descriptor: { mediaType: 'application/vnd.cncf.helm.config.v1+json' } }, /artifact/],
    ['with a config of another size', { descriptor: { size: 5 } }, /has 6 bytes, not 5|bytes, not 5/],
    ['with a config too large', { descriptor: { size: 5_000_000 } }, /over the limit of 4194304/],
    [
      'with a digest that is a path',
      { descriptor: { digest: 'sha256:../../etc/passwd' } },
      /not a sha256 or sha512 digest/,
    ],
    [
      'with a digest in capitals',
      { layer: { digest: sha('b').toUpperCase() } },
      /digest of layer 1 is not a/,
    ],
    ['with a negative size', { layer: { size: -1 } }, /size of layer 1/],
    ['with half a byte', { layer: { size: 1.5 } }, /size of layer 1/],
    ['with a size beyond numbers', { layer: { size: 2 ** 60 } }, /size of layer 1/],
    [
      'with a foreign layer',
      { layer: { mediaType: `${DOCKER}.image.rootfs.foreign.diff.tar.gzip` } },
      /may not be distributed/,
    ],
    [
      'with a nondistributable layer',
      { layer: { mediaType: `${OCI}.layer.nondistributable.v1.tar+gzip` } },
      /may not be distributed/,
    ],
    ['with an encrypted layer', { layer: { mediaType: `${LAYER}+encrypted` } }, /is encrypted/],
    ['with a layer of no known kind', { layer: { mediaType: 'text/html' } }, /media type is text\/html/],
    ['with fewer layers than diff ids', { manifest: { layers: [] } }, /names 0 layers, its config 1/],
    ['without layers', { manifest: { layers: {} } }, /no list of layers/],
    ['without a config', { manifest: { config: null } }, /config of the manifest is not a JSON object/],
    ['that is an index as well', { manifest: { manifests: [] } }, /taken for two things/],
    [
      'that says it is something else',
      { manifest: { mediaType: INDEX } },
      /says it is .*index.* but is served as/,
    ],
    ['of schema 1', { manifest: { schemaVersion: 1 } }, /schema version 1/],
    ['of schema 3', { manifest: { schemaVersion: 3 } }, /not of schema version 2/],
    ['for Windows', { config: { os: 'windows' } }, /for windows, not for linux/],
    [
      'with odd diff ids',
      { config: { rootfs: { type: 'layers', diff_ids: ['md5:0'] } } },
      /diff id 1 is not a/,
    ],
    ['with another kind of rootfs', { config: { rootfs: { type: 'base' } } }, /rootfs.type/],
    ['with a list as config', { config: { config: [] } }, /config of the config is not a JSON object/],
    ['with a number in Cmd', { config: { config: { Cmd: ['a', 1] } } }, /config.Cmd\[1\] is not a text/],
    ['with a NUL in Cmd', { config: { config: { Cmd: ['a\0b'] } } }, /NUL byte/],
    ['with half a variable', { config: { config: { Env: ['PATH'] } } }, /Env\[0\] is not NAME=value/],
  ])('%s is refused', async (_, parts, message) => {
    await expect(readParts(parts)).rejects.toThrow(message);
    await expect(readParts(parts)).rejects.toThrow(/^test:image: /);
  });

  it('with a config of another digest is refused', async () => {
    const shelf = new Shelf();
    const manifest = manifestOf(shelf, {});
    for (const [digest, bytes] of shelf.documents)
      shelf.documents.set(digest, Buffer.alloc(bytes.length, ' '));
    await expect(read(shelf.source(manifest, MANIFEST))).rejects.toThrow(/config sha256:\w{12} has digest/);
  });

  it('must be the pinned one', async () => {
    const shelf = new Shelf();
    await expect(read(shelf.source(manifestOf(shelf, {}), MANIFEST, sha('other')))).rejects.toThrow(
      /has digest .*, not/,
    );
  });

  it.each<[string, string | Buffer, string, RegExp]>([
    [
      'a secret of the host',
      'root:$6$salt$hash:19000::::::',
      MANIFEST,
      /^test:image: the manifest is not JSON$/,
    ],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), MANIFEST, /is not JSON/],
    ['a list', '[]', MANIFEST, /not a JSON object/],
    ['signed, of schema 1', '{}', `${DOCKER}.distribution.manifest.v1+prettyjws`, /schema version 1/],
    ['a web page', '{"schemaVersion":2}', 'text/html', /media type is text\/html/],
  ])('that is %s is refused', async (_, text, mediaType, message) => {
    await expect(read(new Shelf().source(Buffer.from(text), mediaType))).rejects.toThrow(message);
  });

  it('of Docker is one, and an untyped one says what it is', async () => {
    const shelf = new Shelf();
    const mediaType = `${DOCKER}.distribution.manifest.v2+json`;
    const layer = { mediaType: `${DOCKER}.image.rootfs.diff.tar.gzip` };
    const descriptor = { mediaType: `${DOCKER}.container.image.v1+json` };
    const manifest = manifestOf(shelf, { manifest: { mediaType }, layer, descriptor });
    for (const type of [mediaType, '', 'application/json'])
      expect((await read(shelf.source(manifest, type))).layers).toHaveLength(1);
  });
});

describe('the config of an image', () => {
  it.each<[string, unknown, Json]>([
    ['nothing', undefined, {}],
    ['null', null, {}],
    [
      'empty words',
      { Entrypoint: null, Cmd: [], Env: null, User: '', WorkingDir: '', Volumes: null, StopSignal: '' },
      {},
    ],
    ['words', { Entrypoint: ['/init'], Cmd: ['a', ''] }, { entrypoint: ['/init'], cmd: ['a', ''] }],
    ['a word of an old builder', { Entrypoint: '/init' }, { entrypoint: ['/init'] }],
    ['variables', { Env: ['A=1', 'B='] }, { env: ['A=1', 'B='] }],
    ['a relative folder', { WorkingDir: 'srv' }, { workingDir: '/srv' }],
    ['a user and a signal', { User: '1:2', StopSignal: 'SIGQUIT' }, { user: '1:2', stopSignal: 'SIGQUIT' }],
    ['volumes', { Volumes: { '/b': {}, '/a': {} } }, { volumes: ['/a', '/b'] }],
    ['unknown words', { Healthcheck: {}, OnBuild: [] }, {}],
  ])('with %s', async (_, config, expected) => {
    expect((await readParts({ config: { config } })).config).toEqual(expected);
  });
});

describe('an index', () => {
  const shelf = new Shelf();
  const entry = (architecture: string, variant?: string): Json => {
    const manifest = manifestOf(shelf, { platform: architecture, config: { variant } });
    const platform = { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) };
    return shelf.put(manifest, MANIFEST, { platform });
  };
  const bare = (architecture: string): Json =>
    shelf.put(manifestOf(shelf, { platform: architecture }), MANIFEST);
  const index = (...manifests: readonly Json[]): Json => ({ schemaVersion: 2, mediaType: INDEX, manifests });
  const nested = (...manifests: readonly Json[]): Json => shelf.put(index(...manifests), INDEX);
  const attestation = { ...entry('amd64'), platform: { os: 'unknown', architecture: 'unknown' } };

  it.each<[string, string, Json, string]>([
    ['the own architecture', 'x64', index(entry('arm64', 'v8'), entry('amd64'), entry('386')), 'amd64'],
    ['another machine', 'arm64', index(entry('amd64'), entry('arm64', 'v8')), 'arm64/v8'],
    ['the best variant', 'arm', index(entry('arm', 'v5'), entry('arm', 'v7'), entry('arm', 'v6')), 'arm/v7'],
    ['a lesser variant', 'arm', index(entry('arm', 'v5'), entry('arm64')), 'arm/v5'],
    ['the only image', 'x64', index(bare('amd64')), 'amd64'],
    ['no attestation', 'x64', index(attestation, entry('amd64')), 'amd64'],
    ['an index below', 'x64', index(nested(entry('arm64')), nested(nested(entry('amd64')))), 'amd64'],
  ])('gives %s', async (_, machine, document, expected) => {
    const { platform } = await read(shelf.source(document, INDEX), machine);
    expect([platform.architecture, platform.variant].filter(Boolean).join('/')).toBe(expected);
  });

  it('of images for other machines says which', async () => {
    const source = shelf.source(index(entry('arm64', 'v8'), nested(entry('s390x'))), INDEX);
    await expect(read(source)).rejects.toMatchObject({
      message: 'test:image: there is no image for linux/amd64',
      hint: 'there are images for linux/arm64/v8, linux/s390x',
    });
  });

  it.each<[string, Json, RegExp]>([
    ['that is empty', index(), /there is no image for/],
    ['of two images for nobody', index(bare('amd64'), bare('arm64')), /several images/],
    [
      'in an index, five times',
      index(nested(nested(nested(nested(nested(entry('amd64'))))))),
      /more than 4 indexes in each other/,
    ],
    ['that is named twice', index(nested(), nested()), /go in circles/],
    [
      'of a hundred others',
      index(...Array.from({ length: 100 }, (_, at) => nested(nested({ ...entry('arm64'), size: at })))),
      /more than 32 indexes/,
    ],
    ['of another size', index({ ...nested(), size: 1 }), /bytes, not 1/],
    ['of 100 MB', index({ ...nested(), size: 100_000_000 }), /over the limit/],
    ['with layers', { ...index(), layers: [] }, /taken for two things/],
    ['with text as manifests', { ...index(), manifests: 'x' }, /manifests of the index is not a list/],
  ])('%s is refused', async (_, document, message) => {
    await expect(read(shelf.source(document, INDEX))).rejects.toThrow(message);
  });

  it('that names itself is refused by its digest', async () => {
    const digest = sha('itself');
    const document = index({ mediaType: INDEX, digest, size: 0 });
    const size = bytesOf(index({ mediaType: INDEX, digest, size: 0 })).length;
    shelf.documents.set(digest, bytesOf(document));
    await expect(read(shelf.source(index({ mediaType: INDEX, digest, size }), INDEX))).rejects.toThrow(
      /has digest/,
    );
  });
});

// Images on the disk, as tools write them and as nobody should.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import type { Image } from '../../src/image/image.ts';
import { platformOf } from '../../src/image/platform.ts';
import { readImage } from '../../src/image/read-image.ts';
import { openImageSource } from '../../src/image/sources/open-source.ts';
import { parseImageReference } from '../../src/load/image-reference.ts';
import { writeLayout } from '../support/oci-layout.ts';
import { archives, host, makeScratch } from './scratch.ts';
import { archive, entry, long, pax } from './write-tar.ts';

const scratch = makeScratch();
const hex = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const layer = archive(entry({ name: 'file', data: 'x'.repeat(700) }));
const upper = archive(entry({ name: 'other', data: 'y' }));

/** The image that a reference names, and its layers as stored. */
async function load(reference: string): Promise<Image & { readonly blobs: readonly Buffer[] }> {
  const { signal } = new AbortController();
  const parsed = parseImageReference(reference, scratch);
  if ('problem' in parsed) throw new Error(parsed.problem);
  const open = () => openImageSource({ host, archives, signal }, parsed.value);
  const source = await open();
  const image = await readImage(source, platformOf('x64'));
  await source.close();
  const blobs = [];
  for (const { descriptor } of image.layers) {
    // Each layer is fetched by itself, perhaps days after the image was read: the source knows nothing of it yet.
    const fresh = await open();
    const chunks = (await (await fresh.openBlob(descriptor, signal)).toArray()) as Buffer[];
    await fresh.close();
    blobs.push(Buffer.concat(chunks));
  }
  return { ...image, blobs };
}

describe('an OCI layout', () => {
  const make = (name: string): string => {
    const folder = path.join(scratch, name);
    writeLayout(folder, 'one', {
      layers: [{ tar: layer }, { tar: upper, compression: 'none' }],
      config: { User: '1' },
    });
    return folder;
  };
  const blob = (folder: string, image: Image): string =>
    path.join(folder, 'blobs/sha256', image.layers[0]?.descriptor.digest.slice(7) ?? '');

  it('gives the image with a tag, or its only one', async () => {
    make('plain');
    const image = await load('oci:plain:one');
    expect(image).toMatchObject({ reference: `oci:${scratch}/plain:one`, config: { user: '1' } });
    expect(image.layers.map(({ diffId }) => diffId)).toEqual(
      [layer, upper].map((tar) => `sha256:${hex(tar)}`),
    );
    expect(image.blobs).toEqual([gzipSync(layer), upper]);
    expect((await load('oci:plain')).digest).toBe(image.digest);
    writeLayout(path.join(scratch, 'plain'), 'two', { layers: [] });
    expect((await load('oci:plain:two')).layers).toEqual([]);
    await expect(load('oci:plain')).rejects.toMatchObject({
      message: expect.stringMatching(/it has several images$/) as string,
      hint: expect.stringContaining('it has one, two') as string,
    });
    await expect(load('oci:plain:three')).rejects.toThrow(/it has no image three/);
  });

  it('of images with one tag is an index of platforms', async () => {
    const folder = path.join(scratch, 'platforms');
    for (const architecture of ['arm64', 'amd64'])
      writeLayout(folder, architecture, { layers: [], architecture });
    const file = path.join(folder, 'index.json');
    const index = JSON.parse(fs.readFileSync(file, 'utf8')) as { manifests: Record<string, unknown>[] };
    const manifests = index.manifests.map(({ annotations, ...rest }) => ({
      ...rest,
      platform: { os: 'linux', architecture: Object.values(annotations as object)[0] as string },
    }));
    fs.writeFileSync(file, JSON.stringify({ ...index, manifests }));
    expect((await load('oci:platforms')).platform.architecture).toBe('amd64');
  });

  it('may have symlinks for blobs, which may not lead out of it', async () => {
    const folder = make('links');
    const file = blob(folder, await load('oci:links'));
    fs.mkdirSync(path.join(folder, 'store'));
    fs.renameSync(file, path.join(folder, 'store/x'));
    fs.symlinkSync('../../store/x', file);
    expect((await load('oci:links')).blobs[0]).toEqual(gzipSync(layer));
    fs.rmSync(file);
    fs.symlinkSync('/etc/passwd', file);
    await expect(load('oci:links')).rejects.toThrow(/leads to \/etc\/passwd, outside of/);
  });

  it('may itself be a symlink', async () => {
    make('real');
    fs.symlinkSync('real', path.join(scratch, 'alias'));
    expect((await load('oci:alias:one')).blobs).toHaveLength(2);
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ['a fifo', (file) => void execFileSync('mkfifo', [file]), /is not a regular file/],
    ['a folder', (file) => fs.mkdirSync(file), /is not a regular file/],
    ['a device', (file) => fs.symlinkSync('/dev/zero', file), /is not a regular file/],
    ['nothing', () => undefined, /does not exist/],
    ['a circle', (file) => fs.symlinkSync(file, file), /ELOOP/],
  ])('with %s for a blob is refused and never waited for', async (name, put, message) => {
    const folder = make(`odd ${name}`);
    const file = blob(folder, await load(`oci:odd ${name}`));
    fs.rmSync(file);
    put(file);
    await expect(load(`oci:odd ${name}`)).rejects.toThrow(message);
  });

  it.each<[string, string, string, RegExp]>([
    ['another version', 'oci-layout', '{"imageLayoutVersion":"2.0.0"}', /of version 1.0.0/],
    [
      'an index of 100 MB',
      'index.json',
      `{"manifests":[${' '.repeat(100_000_000)}]}`,
      /larger than 4194304 bytes/,
    ],
    ['an index that is none', 'index.json', '[1]', /index.json is not a JSON object/],
    ['a secret for an index', 'index.json', 'root:$6$secret', /: index.json is not JSON$/],
    [
      'a path for a digest',
      'index.json',
      '{"manifests":[{"mediaType":"x","size":1,"digest":"sha256:../../../x"}]}',
      /not a sha256 or sha512/,
    ],
  ])('with %s is refused', async (name, file, text, message) => {
    fs.writeFileSync(path.join(make(`bad ${name}`), file), text);
    await expect(load(`oci:bad ${name}`)).rejects.toThrow(message);
  });

  it('may say more than anybody understands', async () => {
    const file = path.join(make('chatty'), 'index.json');
    const deep = `"x":${'['.repeat(100_000)}${']'.repeat(100_000)},"annotations"`;
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('"annotations"', deep));
    expect((await load('oci:chatty:one')).blobs).toHaveLength(2);
  });

  it('that the system will not open is named', async () => {
    const file = path.join(make('circle'), 'index.json');
    fs.rmSync(file);
    fs.symlinkSync(file, file);
    const error = await load('oci:circle').catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(OperationError);
    expect(String(error)).toContain(`oci:${scratch}/circle: ELOOP`);
  });

  it('that is not there, or something else, says so', async () => {
    fs.writeFileSync(path.join(scratch, 'a-file'), '');
    fs.mkdirSync(path.join(scratch, 'empty'));
    await expect(load('oci:nowhere')).rejects.toThrow(/nowhere: there is no such folder/);
    await expect(load('oci:a-file')).rejects.toThrow(/it is a file, not a folder/);
    await expect(load('oci:empty')).rejects.toThrow(/it has no index.json/);
    await expect(load('dir:empty')).rejects.toThrow(/it has no manifest.json/);
  });
});

describe('a folder of skopeo', () => {
  it('has blobs under the hex digits of their digests', async () => {
    const layout = path.join(scratch, 'for-dir');
    const { manifest, config, layers } = writeLayout(layout, 'x', { layers: [{ tar: layer }] });
    const folder = path.join(scratch, 'dir');
    fs.mkdirSync(folder);
    const copy = (digest: string, name: string): void =>
      fs.copyFileSync(path.join(layout, 'blobs', digest.replace(':', '/')), path.join(folder, name));
    copy(manifest.digest, 'manifest.json');
    for (const { digest } of [config, ...layers.map(({ descriptor }) => descriptor)])
      copy(digest, digest.slice(7));
    expect(await load('dir:dir')).toMatchObject({ digest: manifest.digest, blobs: [gzipSync(layer)] });
  });
});

describe('an archive of docker save', () => {
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: { Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: [layer, upper, layer].map((tar) => `sha256:${hex(tar)}`) },
    }),
  );
  const saved = (
    layers: readonly string[],
    tags: readonly string[] | null = ['app:1'],
    name = `${hex(config)}.json`,
  ): Buffer =>
    entry({
      name: 'manifest.json',
      data: JSON.stringify([{ Config: name, Layers: layers, RepoTags: tags }]),
    });
  const old = [
    entry({ name: 'a/', type: '5' }),
    entry({ name: 'a/layer.tar', data: layer }),
    long('L', `b/${'long'.repeat(40)}.tar`),
    entry({ name: 'cut', data: upper }),
    entry({ name: 'c/layer.tar', type: '2', link: '../a/layer.tar' }),
    entry({ name: `${hex(config)}.json`, data: config }),
  ];
  const layers = ['a/layer.tar', `b/${'long'.repeat(40)}.tar`, 'c/layer.tar'];
  const write = (name: string, ...parts: readonly Buffer[]): void =>
    fs.writeFileSync(path.join(scratch, name), archive(...parts));

  it('has plain layers, some of them symlinks to others', async () => {
    write('old.tar', ...old, saved(layers));
    const image = await load('docker-archive:old.tar');
    expect(image).toMatchObject({ configDigest: `sha256:${hex(config)}`, config: { cmd: ['sh'] } });
    expect(image.blobs).toEqual([layer, upper, layer]);
    for (const name of ['app:1', 'docker.io/library/app:1'])
      expect((await load(`docker-archive:old.tar:${name}`)).digest).toBe(image.digest);
    await expect(load('docker-archive:old.tar:app')).rejects.toMatchObject({ hint: 'it has app:1' });
  });

  it('may have compressed layers, named by their digest', async () => {
    const packed = gzipSync(layer);
    const blob = (bytes: Buffer): string => `blobs/sha256/${hex(bytes)}`;
    write(
      'new.tar',
      ...[config, packed, upper].map((data) => entry({ name: blob(data), data })),
      pax({ path: 'manifest.json' }),
      saved([packed, upper, packed].map(blob), null, blob(config)),
    );
    const image = await load('docker-archive:new.tar');
    expect(image.blobs).toEqual([packed, upper, packed]);
    expect(image.layers.map(({ descriptor }) => descriptor.digest)).toEqual(
      [packed, upper, packed].map((one) => `sha256:${hex(one)}`),
    );
  });

  it('is taken by the names of compressed layers, without reading them', async () => {
    const [named, other] = [`blobs/sha256/${'a'.repeat(64)}`, 'b/layer.tar'];
    write(
      'named.tar',
      entry({ name: 'config.json', data: config }),
      ...[named, other].map((name) => entry({ name, data: gzipSync(layer) })),
      saved([named, other, other], null, 'config.json'),
    );
    const { layers: found } = await load('docker-archive:named.tar');
    const hashed = `sha256:${hex(gzipSync(layer))}`;
    expect(found.map(({ descriptor }) => descriptor.digest)).toEqual([
      `sha256:${'a'.repeat(64)}`,
      hashed,
      hashed,
    ]);
  });

  it('may be a whole OCI layout', async () => {
    const layout = path.join(scratch, 'to-archive');
    const { manifest } = writeLayout(layout, 'x', { layers: [{ tar: layer }] });
    execFileSync('tar', ['--create', '--file', path.join(scratch, 'layout.tar'), '--directory', layout, '.']);
    expect(await load('docker-archive:layout.tar:x')).toMatchObject({ digest: manifest.digest });
  });

  it.each<[string, readonly Buffer[], RegExp]>([
    ['without a manifest', old, /no archive of docker save/],
    ['with a layer missing', [...old, saved([...layers.slice(0, 2), 'd'])], /layer d is not in the archive/],
    ['with a layer too many', [...old, saved([...layers, 'a/layer.tar'])], /more layers than its config/],
    [
      'with a config of another digest',
      [
        ...old,
        entry({ name: `${'0'.repeat(64)}.json`, data: config }),
        saved(layers, null, `${'0'.repeat(64)}.json`),
      ],
      /has digest/,
    ],
    ['with two files of a name', [...old, saved(layers), saved(layers)], /two files manifest.json/],
    ['with a device', [...old, entry({ name: 'x', type: '3' })], /neither a plain file nor a link/],
    [
      'with links in a circle',
      [...old, entry({ name: 'x', type: '2', link: 'x' }), saved(['x', 'x', 'x'])],
      /without end/,
    ],
    [
      'with a link to the host',
      [...old, entry({ name: 'x', type: '2', link: '/etc/passwd' }), saved(['x', 'x', 'x'])],
      /layer x is not in the archive/,
    ],
    [
      'with an object as manifest',
      [...old, entry({ name: 'manifest.json', data: '{}' })],
      /manifest.json is not a list/,
    ],
    [
      'of several images',
      [...old, entry({ name: 'manifest.json', data: JSON.stringify([{ Config: 'a' }, { Config: 'b' }]) })],
      /several images/,
    ],
    ['that is cut short', [entry({ name: 'x', size: 1e9 })], /ends in the middle/],
  ])('%s is refused', async (name, parts, message) => {
    write(`${name}.tar`, ...parts);
    await expect(load(`docker-archive:${name}.tar`)).rejects.toThrow(message);
  });

  it('says how to take a compressed one', async () => {
    fs.writeFileSync(path.join(scratch, 'packed.tar'), gzipSync(archive(...old, saved(layers))));
    await expect(load('docker-archive:packed.tar')).rejects.toMatchObject({
      hint: expect.stringContaining('gunzip --keep') as string,
    });
  });
});

// Images that were saved to a file, old ones and new ones.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { writeLayout } from '../../support/oci-layout.ts';
import { archive, entry, long, pax } from '../write-tar.ts';
import { hex, layer, load, scratch, upper } from './load-image.ts';

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

  it('may be compressed with gzip as a whole', async () => {
    const packed = gzipSync(layer);
    const parts = [
      ...old,
      entry({ name: 'packed', data: packed }),
      entry({ name: 'empty', data: '' }),
      saved([layers[0] ?? '', 'packed', 'c/layer.tar']),
    ];
    write('plain.tar', ...parts);
    fs.writeFileSync(path.join(scratch, 'whole.tar.gz'), gzipSync(archive(...parts)));
    const image = await load('docker-archive:whole.tar.gz:app:1');
    expect(image.blobs).toEqual([layer, packed, layer]);
    expect(image.digest).toBe((await load('docker-archive:plain.tar')).digest);
  });

  it('that is compressed and damaged, cut short or a bomb is refused', async () => {
    const whole = gzipSync(archive(...old, saved(layers)));
    const file = (bytes: Buffer): string => {
      fs.writeFileSync(path.join(scratch, 'bad.tar.gz'), bytes);
      return 'docker-archive:bad.tar.gz';
    };
    await expect(load(file(whole.subarray(0, -20)))).rejects.toMatchObject({
      message: expect.stringContaining('bad.tar.gz: cannot unpack: unexpected end of file') as string,
      hint: expect.stringContaining('damaged or was cut short') as string,
    });
    await expect(load(file(Buffer.concat([whole.subarray(0, 40), Buffer.alloc(99)])))).rejects.toThrow(
      /cannot unpack: /,
    );
    const zeros = gzipSync(archive(entry({ name: 'x', data: Buffer.alloc(2 ** 28) })));
    await expect(load(file(zeros))).rejects.toThrow(/unpacks to more than 250 times its size/);
  });

  it('says how to take one that is compressed otherwise', async () => {
    fs.writeFileSync(path.join(scratch, 'packed.tar'), Buffer.from('28b52ffd', 'hex'));
    await expect(load('docker-archive:packed.tar')).rejects.toMatchObject({
      hint: expect.stringContaining(`unzstd <${scratch}/packed.tar >`) as string,
    });
  });
});

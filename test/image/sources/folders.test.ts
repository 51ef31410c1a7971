// Images in folders, as tools write them and as nobody should.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { OperationError } from '../../../src/errors.ts';
import type { Image } from '../../../src/image/image.ts';
import { writeLayout } from '../../support/oci-layout.ts';
import { hex, layer, load, scratch, upper } from './load-image.ts';

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

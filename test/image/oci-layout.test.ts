import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { blobPath, digestOf, writeLayout } from '../support/oci-layout.ts';
import { makeScratch } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

describe('a layout made for tests', () => {
  const folder = path.join(makeScratch(), 'layout');
  const tar = archive(entry({ name: 'a', data: 'x' }));

  it('holds every blob under its digest, and one manifest a tag', () => {
    writeLayout(folder, 'one', { layers: [{ tar }] });
    writeLayout(folder, 'two', {
      layers: [
        { tar, compression: 'zstd' },
        { tar, compression: 'none' },
      ],
    });
    const { manifest, config, layers } = writeLayout(folder, 'one', { layers: [{ tar }, { tar }] });
    for (const { digest, size } of [manifest, config, ...layers.map(({ descriptor }) => descriptor)]) {
      const bytes = fs.readFileSync(blobPath(folder, digest));
      expect([digestOf(bytes), bytes.length]).toEqual([digest, size]);
    }
    expect(layers.map(({ diffId }) => diffId)).toEqual([digestOf(tar), digestOf(tar)]);
    const index = JSON.parse(fs.readFileSync(path.join(folder, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    expect(index.manifests.map(({ annotations }) => Object.values(annotations))).toEqual([['two'], ['one']]);
    expect(index.manifests[1]?.digest).toBe(manifest.digest);
  });
});

// The store is collected while somebody puts things into it: each case lets the other run at the worst moment, until
// it is done or waits.
import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { collectGarbage, listImages, listLayers } from '../../src/image/collect.ts';
import { pullImage } from '../../src/image/pull-image.ts';
import { addArchive, type LayerContext } from '../../src/image/unpack-tarball.ts';
import { writeLayout } from '../support/oci-layout.ts';
import { host, isRoot, layerContext, makeScratch } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

/** Runs `task`, and `other` as soon as it is about to rename the first path that ends so. */
async function runBoth(
  dataDir: string,
  task: (context: LayerContext) => Promise<unknown>,
  renamed: string,
  other: (context: LayerContext) => Promise<unknown>,
): Promise<void> {
  let running: Promise<unknown> | undefined;
  const meet = (): Promise<void> =>
    new Promise((resolve) => {
      running = other({ ...layerContext(dataDir), progress: () => resolve() }).finally(resolve);
      // Awaited below; until then its failure must not count as unhandled.
      running.catch(() => undefined);
    });
  const rename = async (from: string, to: string): Promise<void> => {
    if (running === undefined && from.endsWith(renamed)) await meet();
    await host.rename(from, to);
  };
  await task({ ...layerContext(dataDir), host: { ...host, rename } });
  expect(running).toBeDefined();
  await running;
}

const collect = (context: LayerContext): Promise<unknown> =>
  collectGarbage({ ...context, exclusively: (task) => task() });

describe.skipIf(!isRoot)('collecting garbage while somebody', () => {
  const scratch = makeScratch();

  it('makes a layer takes the layer with its record, or leaves both', async () => {
    const dataDir = `${scratch}/record`;
    const file = `${scratch}/implied.tar`;
    // Its folder is not listed: only the record knows that the mode is not the archive's.
    fs.writeFileSync(file, archive(entry({ name: 'implied/file' })));
    await runBoth(dataDir, (context) => addArchive(context, file), '/layer', collect);
    for (const { note } of await listLayers(host, dataDir))
      expect(note?.folders?.implied).toEqual(['implied']);
  });

  it('pulls an image leaves it all its layers', async () => {
    const dataDir = `${scratch}/pull`;
    const tar = archive(entry({ name: 'file' }));
    fs.writeFileSync(`${scratch}/layer.tar`, tar);
    writeLayout(`${scratch}/layout`, 'latest', { layers: [{ tar }] });
    const key = await addArchive(layerContext(dataDir), `${scratch}/layer.tar`);
    await runBoth(dataDir, collect, key, (context) => pullImage(context, `oci:${scratch}/layout:latest`));
    expect((await listImages(host, dataDir)).map(({ layers }) => layers)).toEqual([[key]]);
    expect((await listLayers(host, dataDir)).map((layer) => layer.key)).toEqual([key]);
  });
});

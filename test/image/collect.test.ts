import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { collectGarbage, listLayers, type CollectContext } from '../../src/image/collect.ts';
import type { Host } from '../../src/host/host.ts';
import { mendFolders } from '../../src/image/mend-folders.ts';
import { mergeLayers } from '../../src/image/resolve-path.ts';
import { layerPath, removeStaleWork, visibleLayers, writeStored } from '../../src/image/store.ts';
import { processIdentity } from '../../src/image/work-folder.ts';
import { addArchive } from '../../src/image/unpack-tarball.ts';
import { host, isRoot, layerContext, makeScratch } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

const image = archive(entry({ name: 'image', data: 'x' }));
const other = archive(entry({ name: 'other', data: 'x' }));

function collecting(dataDir: string): CollectContext {
  return { ...layerContext(dataDir), exclusively: (task) => task() };
}

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
    const { layers } = await collectGarbage(collecting(dataDir));
    expect(layers.map((layer) => layer.key)).toEqual([unused]);
    expect(fs.readdirSync(`${dataDir}/images/layers`).toSorted()).toEqual(
      [applied, `${applied}.json`, pending, `${pending}.json`].toSorted(),
    );
    expect(fs.readdirSync(`${dataDir}/images/hashes`).length).toBeLessThanOrEqual(2);
    expect(fs.readdirSync(`${dataDir}/images/tmp`)).toEqual([]);
    const users = (await listLayers(host, dataDir)).map(({ key, usedBy }) => [key, usedBy]);
    expect(Object.fromEntries(users)).toEqual({ [applied]: ['web'], [pending]: ['db'] });
  });

  it.each(['', '\0'.repeat(64), '{"source":', '0'])(
    'takes a layer whose note is damaged, which nothing else may use: %j',
    async (damaged) => {
      const below = await addBytes('below', archive(entry({ name: 'below' })));
      const above = await addBytes(
        'above',
        archive(entry({ name: '.wh..wh..opq' }), entry({ name: 'above' })),
      );
      const lower = [below, above].map((key) => layerPath(dataDir, key));
      const target = fs.mkdtempSync(`${scratch}/target-`);
      const uses = [
        () => visibleLayers(host, lower),
        () => mergeLayers(host, lower),
        () => mendFolders(layerContext(dataDir), lower, target),
      ];
      expect(await visibleLayers(host, lower)).toEqual(lower.slice(1));
      fs.writeFileSync(`${lower[1]}.json`, damaged);
      for (const use of uses) await expect(use()).rejects.toThrow(`${lower[1]}.json is damaged`);
      const [found] = (await listLayers(host, dataDir)).filter(({ key }) => key === above);
      expect(found).toMatchObject({ key: above, usedBy: [] });
      expect(found?.note).toBeUndefined();
      await collectGarbage(collecting(dataDir));
      for (const name of ['below', 'above'])
        await addArchive(layerContext(dataDir), `${scratch}/${name}.tar`);
      expect(await visibleLayers(host, lower)).toEqual(lower.slice(1));
    },
  );

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

  it('finds nothing elsewhere of what a kill has cut short, but of former versions', async () => {
    const begun: string[] = [];
    const work = fs.readdirSync(`${dataDir}/images/tmp`);
    const writeAtomic: Host['writeAtomic'] = async (file, text, options) => {
      begun.push(options?.via ?? file);
      await host.writeAtomic(file, text, options);
    };
    const stored = `${dataDir}/images/refs/name`;
    await writeStored({ ...host, writeAtomic }, dataDir, stored, 'text');
    expect(fs.readFileSync(stored, 'utf8')).toBe('text');
    expect(begun).toEqual([expect.stringMatching(`^${dataDir}/images/tmp/`)]);
    expect(fs.readdirSync(`${dataDir}/images/tmp`)).toEqual(work);

    const former = `${dataDir}/images/layers/.${'0'.repeat(64)}.json.runspec-new`;
    fs.writeFileSync(former, '{');
    await collectGarbage(collecting(dataDir));
    expect(fs.existsSync(former)).toBe(false);
  });

  it('does nothing where there is no store', async () => {
    expect(await collectGarbage(collecting(`${scratch}/nothing`))).toEqual({ layers: [], leftovers: 0 });
    expect(fs.existsSync(`${scratch}/nothing`)).toBe(false);
  });
});

import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BusyError } from '../../src/errors.ts';
import type { LoadedSpecs } from '../../src/commands/load-specs.ts';
import type { Spec } from '../../src/load/spec.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { addImages, collectImages, pullImages, removeImages, showImages } from '../../src/commands/image.ts';
import { resolveLayers } from '../../src/image/resolve-layers.ts';
import { layer } from '../../src/ops/layer.ts';
import type { OpContext } from '../../src/ops/op.ts';
import type { LayerStep } from '../../src/plan/plan.ts';
import { archives, host, isRoot, makeScratch, specOf } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

describe.skipIf(!isRoot)('runspec image', () => {
  const scratch = makeScratch();
  const tarball = path.join(scratch, 'image.tar');
  fs.writeFileSync(tarball, archive(entry({ name: 'file', data: 'x'.repeat(2048) })));
  const dataDir = path.join(scratch, 'data');

  const loaded = (spec: Spec): LoadedSpecs => ({
    specs: [{ spec, file: 'web.yaml', locate: async () => undefined }],
    sources: [],
    names: new Set(),
    places: new Set(),
    isRecalled: false,
    understood: [],
  });

  async function call(
    command: (context: CommandContext) => Promise<number>,
    json = false,
  ): Promise<{ readonly status: number; readonly out: string; readonly err: readonly string[] }> {
    const said = { out: '', err: [] as string[] };
    const status = await command({
      host,
      archives,
      dataDir,
      stateDir: path.join(scratch, 'state'),
      json,
      quiet: false,
      lockTimeout: 20_000,
      isRoot: true,
      workingDirectory: scratch,
      signal: new AbortController().signal,
      stdout: (text: string) => void (said.out += text),
      stderr: (line: string) => void said.err.push(line),
    } as unknown as CommandContext);
    return { status, ...said };
  }

  it('adds an archive and prints the hash to pin it with', async () => {
    const { out, status } = await call((context) => addImages(context, [tarball]));
    expect({ out, status }).toEqual({ out: expect.stringMatching(/^[0-9a-f]{64}\n$/) as unknown, status: 0 });
    expect((await call((context) => addImages(context, ['image.tar']), true)).out).toBe(
      `["${out.trim()}"]\n`,
    );
  });

  it('lists layers with size, users and source', async () => {
    const { out } = await call(showImages);
    expect(out).toMatch(
      /^LAYER +SIZE +ENTRIES +CREATED \(UTC\) +USED BY +SOURCE\n[0-9a-f]{12}  2\.0 KiB  1 .*  - +\/.*\/image\.tar\n$/,
    );
    expect(JSON.parse((await call(showImages, true)).out)).toMatchObject({
      images: [],
      layers: [{ size: 2048, entries: 1, source: tarball, usedBy: [], taggedBy: [] }],
    });
  });

  it('removes by the beginning of a key, unless someone uses the layer', async () => {
    const { out } = await call((context) => addImages(context, [tarball]));
    const key = out.trim();
    fs.mkdirSync(`${dataDir}/containers/web`, { recursive: true });
    fs.writeFileSync(`${dataDir}/containers/web/plan.json`, JSON.stringify({ key }));
    await expect(call((context) => removeImages(context, [key]))).rejects.toThrow(/is used by web/);
    fs.rmSync(`${dataDir}/containers/web/plan.json`);
    await expect(call((context) => removeImages(context, ['../../etc']))).rejects.toThrow(
      /there is no image or layer/,
    );
    expect((await call((context) => removeImages(context, [key.slice(0, 8)]))).out).toBe(out);
    expect(fs.readdirSync(`${dataDir}/images/layers`)).toEqual([]);
  });

  it('pulls every layer of a spec, and gc takes what nobody uses', async () => {
    const spec = specOf(
      { kind: 'tarball', tarball },
      { kind: 'files', files: { '/a': { text: 'a', mode: 0o644, uid: 0, gid: 0 } } },
    );
    const { out } = await call((context) => pullImages(context, [], loaded(spec)));
    const keys = out.trim().split('\n');
    expect(
      fs
        .readdirSync(`${dataDir}/images/layers`)
        .filter((name) => !name.endsWith('.json'))
        .toSorted(),
    ).toEqual(keys.toSorted());
    const collected = await call(collectImages);
    expect(collected.out.trim().split('\n').toSorted()).toEqual(keys.toSorted());
    expect(collected.err[0]).toMatch(/^removed 2 layers \(2\.0 KiB\)/);
    expect(fs.readdirSync(`${dataDir}/images/layers`)).toEqual([]);
  });

  it('takes no layer out while another runspec is at work on containers', async () => {
    const { out } = await call((context) => addImages(context, [tarball]));
    const other = await host.lock(`${dataDir}/.lock`, 0);
    const impatient = (context: CommandContext): CommandContext => ({ ...context, lockTimeout: 0 });
    await expect(call((context) => collectImages(impatient(context)))).rejects.toThrow(BusyError);
    await expect(call((context) => removeImages(impatient(context), [out.trim()]))).rejects.toThrow(
      BusyError,
    );
    await other?.release();
    expect((await call((context) => removeImages(context, [out.trim()]))).out).toBe(out);
  });

  it('says where a spec that cannot be pulled is wrong', async () => {
    const spec = specOf({ kind: 'directory', directory: `${scratch}/none` });
    await expect(call((context) => pullImages(context, [], loaded(spec)))).rejects.toThrow(
      /none does not exist/,
    );
  });

  it('gives a step that is absent, then present, and stays after its revert', async () => {
    const { layers } = await resolveLayers(host, archives, dataDir, specOf({ kind: 'tarball', tarball }));
    const recipe = layers[0]?.recipe;
    if (recipe === undefined) throw new Error('no layer');
    const step: LayerStep = { id: 'layer:rootfs', op: 'layer', needs: [], after: [], layer: recipe };
    const context = {
      host,
      archives,
      dataDir,
      signal: new AbortController().signal,
      progress: () => undefined,
    } as unknown as OpContext;
    expect(await layer.probe(context, step)).toEqual({ state: 'absent' });
    expect(await layer.revert(context, step, {}, { volumes: false })).toEqual({ outcome: 'gone' });
    await layer.apply(context, step, {});
    expect(await layer.probe(context, step)).toEqual({ state: 'present' });
    expect(await layer.revert(context, step, {}, { volumes: true })).toMatchObject({ outcome: 'kept' });
    expect(fs.readFileSync(`${recipe.path}/file`, 'utf8')).toHaveLength(2048);
  });
});

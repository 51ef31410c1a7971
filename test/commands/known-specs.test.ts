import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { recallSpecs, rememberSpec } from '../../src/commands/known-specs.ts';
import { load } from '../../src/load/load.ts';
import type { SourceText } from '../../src/load/read-sources.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate, type Breakage } from '../support/fake/gate.ts';
import { createFakeMachine } from '../support/fake/machine.ts';

const WEB =
  'runspec: 1\nname: web\nrootfs: { tarball: ./a.tar }\nnetwork: { mode: bridge, ports: ["8080:80"] }\n';
const PAIR = `${WEB}---\n{"runspec":1,"name":"db","rootfs":{"tarball":"/b.tar"}}\n`;

const source = (text: string, baseDir = '/specs', file = 'web.yaml'): SourceText => ({ file, baseDir, text });

/** A machine with records of containers. */
function createPlace(breakage?: Breakage) {
  const machine = createFakeMachine();
  for (const folder of ['/data', '/data/containers', '/data/containers/web', '/data/containers/db'])
    machine.files.makeDirectory(folder, { mode: 0o700 });
  return {
    files: machine.files,
    place: { host: createFakeHost(machine, createGate(breakage)), dataDir: '/data', build: 'one' },
  };
}

async function remember(
  place: ReturnType<typeof createPlace>['place'],
  text: SourceText,
  names: readonly string[],
): Promise<void> {
  const { specs, diagnostics } = load([text]);
  expect(diagnostics).toEqual([]);
  const understood = { source: text, specs: specs.map(({ spec }) => spec) };
  for (const name of names) await rememberSpec(place, understood, name);
}

describe('what a text said', () => {
  it('is recalled as it was read, with the places in the text', async () => {
    const { place, files } = createPlace();
    await remember(place, source(PAIR), ['db', 'web']);
    expect(files.find('/data/containers/web/spec.json')?.mode).toBe(0o600);
    const read = load([source(PAIR)]).specs;
    const known = await recallSpecs(place, [source(PAIR)]);
    expect(known?.map(({ spec, file }) => ({ spec, file }))).toEqual(
      read.map(({ spec, file }) => ({ spec, file })),
    );
    for (const [index, one] of read.entries())
      for (const place of [['name'], ['network', 'ports', 0], ['rootfs', 'tarball']])
        expect(await known?.[index]?.locate(place)).toEqual(await one.locate(place));
  });

  it('is recalled of every spec of the project to the last letter', async () => {
    const folder = path.resolve(import.meta.dirname, '../../specs');
    for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.yaml'))) {
      const text = source(fs.readFileSync(path.join(folder, file), 'utf8'), folder, file);
      const { place, files } = createPlace();
      const names = load([text]).specs.map(({ spec }) => spec.name);
      for (const name of names) files.makeDirectory(`/data/containers/${name}`, { mode: 0o700 });
      await remember(place, text, names);
      const known = await recallSpecs(place, [text]);
      expect(JSON.stringify(known?.map(({ spec }) => spec))).toBe(
        JSON.stringify(load([text]).specs.map(({ spec }) => spec)),
      );
    }
  });

  it('is not recalled of another text, from another folder, or by another build', async () => {
    const { place } = createPlace();
    await remember(place, source(WEB), ['web']);
    expect(await recallSpecs(place, [source(WEB)])).toHaveLength(1);
    expect(await recallSpecs(place, [source(`${WEB}# and more\n`)])).toBeUndefined();
    expect(await recallSpecs(place, [source(WEB, '/elsewhere')])).toBeUndefined();
    expect(await recallSpecs({ ...place, build: 'two' }, [source(WEB)])).toBeUndefined();
  });

  it('is recalled as a whole or not at all, and not of one text given twice', async () => {
    const { place } = createPlace();
    await remember(place, source(PAIR), ['web']);
    expect(await recallSpecs(place, [source(PAIR)])).toBeUndefined();
    await remember(place, source(WEB), ['web']);
    const other = source('runspec: 1\nname: db\nrootfs: { tarball: /b.tar }\n', '/specs', 'db.yaml');
    expect(await recallSpecs(place, [source(WEB), other])).toBeUndefined();
    await remember(place, other, ['db']);
    expect((await recallSpecs(place, [other, source(WEB)]))?.map(({ spec }) => spec.name)).toEqual([
      'db',
      'web',
    ]);
    expect(await recallSpecs(place, [source(WEB), source(WEB, '/specs', './web.yaml')])).toBeUndefined();
  });

  it('is read anew where something else stands in the place of what was stored', async () => {
    const { place, files } = createPlace();
    await remember(place, source(WEB), ['web']);
    const stored = files.read('/data/containers/web/spec.json') ?? '';
    for (const text of [stored.replace('8080', '8081'), stored.slice(0, -20), 'null', '7', '']) {
      files.put('/data/containers/web/spec.json', text);
      expect(await recallSpecs(place, [source(WEB)])).toBeUndefined();
    }
    files.put('/data/containers/web/spec.json', stored);
    expect(await recallSpecs(place, [source(WEB)])).toHaveLength(1);
    files.remove('/data/containers/web/spec.json');
    files.makeDirectory('/data/containers/web/spec.json');
    expect(await recallSpecs(place, [source(WEB)])).toBeUndefined();
  });

  it('may fail to be stored', async () => {
    const { place, files } = createPlace({ at: 1, how: 'fail' });
    await remember(place, source(WEB), ['web']);
    expect(files.find('/data/containers/web/spec.json')).toBeUndefined();
  });
});

import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import { ARCHIVE_LIMITS } from '../../src/host/archive-limits.ts';
import { createLayerInspector } from '../../src/image/inspect-tar.ts';
import { addArchive } from '../../src/image/unpack-tarball.ts';
import { HOSTILE_CONTENTS } from './hostile-contents.ts';
import { HOSTILE_NAMES } from './hostile-names.ts';
import { isRoot, layerContext, listTree, makeScratch } from './scratch.ts';
import { archive, entry } from './write-tar.ts';

describe.skipIf(!isRoot)('a hostile archive', () => {
  const scratch = makeScratch();

  for (const [index, { name, bytes, refusal }] of [...HOSTILE_NAMES, ...HOSTILE_CONTENTS].entries()) {
    it(`is refused and leaves nothing: ${name}`, async () => {
      const base = path.join(scratch, String(index));
      const outside = path.join(base, 'outside');
      fs.mkdirSync(outside, { recursive: true });
      fs.writeFileSync(path.join(outside, 'sentinel'), 'untouched');
      const file = path.join(base, 'archive');
      fs.writeFileSync(file, bytes(outside));
      const dataDir = path.join(base, 'data');

      const failure: unknown = await addArchive(layerContext(dataDir), file).catch((error: unknown) => error);

      expect(failure).toBeInstanceOf(OperationError);
      expect((failure as OperationError).message).toMatch(refusal);
      expect((failure as OperationError).message).toContain(file);
      for (const folder of ['layers', 'tmp', 'locks'])
        expect(fs.readdirSync(`${dataDir}/images/${folder}`)).toEqual([]);
      expect(fs.readdirSync(outside)).toEqual(['sentinel']);
      expect(fs.statSync(path.join(outside, 'sentinel')).nlink).toBe(1);
      expect(listTree(base).filter((line) => line.includes('planted'))).toEqual([]);
      fs.rmSync(base, { recursive: true });
    });
  }
});

describe('the limits of an archive', () => {
  it('counts entries', () => {
    const inspector = createLayerInspector({ ...ARCHIVE_LIMITS, entries: 2 });
    const three = archive(...['a', 'b', 'c'].map((name) => entry({ name })));
    expect(() => inspector.write(three, three.length)).toThrow(/more than 2 entries/);
  });

  it('counts the bytes of all files together', () => {
    const inspector = createLayerInspector({ ...ARCHIVE_LIMITS, bytes: 3 });
    const two = archive(...['a', 'b'].map((name) => entry({ name, data: 'xx' })));
    expect(() => inspector.write(two, two.length)).toThrow(/claim 4 bytes, over the limit of 3/);
  });

  it('sees the same entries however the stream is cut', () => {
    const whole = archive(entry({ name: 'a', data: 'x'.repeat(700) }), entry({ name: 'b/', type: '5' }));
    for (const size of [1, 7, 511, 512, 513, 4096]) {
      const inspector = createLayerInspector(ARCHIVE_LIMITS);
      for (let at = 0; at < whole.length; at += size)
        inspector.write(whole.subarray(at, at + size), at + size);
      inspector.end();
      expect(inspector.summary()).toMatchObject({ entries: 2, bytes: 700 });
    }
  });
});

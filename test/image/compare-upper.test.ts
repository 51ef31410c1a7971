// What a writable layer changes of the layers below it; the layers are given as lists of what they hold.
import { describe, expect, it } from 'vitest';
import { escapeName } from '../../src/commands/escape-name.ts';
import type { LayerEntry, LayerEntryType, LayerFiles } from '../../src/host/packing.ts';
import { compareUpper, withParents } from '../../src/image/compare-upper.ts';
import { createLayerStack, hidePaths } from '../../src/image/layer-stack.ts';

/** Path to type; `opaque` is a folder that hides those below. */
type Layer = Readonly<Record<string, LayerEntryType | 'opaque'>>;

function filesOf(layers: Readonly<Record<string, Layer>>): LayerFiles {
  const typeOf = (root: string, path: string): LayerEntryType | undefined => {
    const type = path === '' ? 'directory' : layers[root]?.[path];
    return type === 'opaque' ? 'directory' : type;
  };
  return {
    list(root, path) {
      const prefix = path === '' ? '' : `${path}/`;
      return Object.keys(layers[root] ?? {})
        .filter((one) => one.startsWith(prefix) && !one.slice(prefix.length).includes('/'))
        .toSorted()
        .map((one) => ({ name: one.slice(prefix.length), type: typeOf(root, one) ?? 'file' }));
    },
    status(root, path): LayerEntry | undefined {
      const type = typeOf(root, path);
      // Every layer writes files at a time of its own.
      return type === undefined ? undefined : { type, mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: root };
    },
  };
}

function compare(layers: Readonly<Record<string, Layer>>, hidden: readonly string[] = []): readonly string[] {
  const files = hidePaths(filesOf(layers), 'upper', hidden);
  const marks = { isOpaque: (root: string, path: string) => layers[root]?.[path] === 'opaque' };
  const lower = Object.keys(layers).filter((root) => root !== 'upper');
  const { changes } = compareUpper(files, 'upper', createLayerStack(files, lower, marks), marks);
  return withParents(changes).map(({ kind, path }) => `${kind} ${path}`);
}

const CASES: readonly {
  readonly name: string;
  readonly layers: Readonly<Record<string, Layer>>;
  readonly hidden?: readonly string[];
  readonly changes: readonly string[];
}[] = [
  {
    name: 'a new folder, each thing in it by itself',
    layers: { low: {}, upper: { a: 'opaque', 'a/b': 'file' } },
    changes: ['A a', 'A a/b'],
  },
  {
    name: 'a changed file and the folder it lies in',
    layers: { low: { a: 'directory', 'a/b': 'file' }, upper: { a: 'directory', 'a/b': 'file' } },
    changes: ['C a', 'C a/b'],
  },
  {
    name: 'a deleted folder, but not what was in it',
    layers: { low: { a: 'directory', 'a/b': 'file' }, upper: { a: 'whiteout' } },
    changes: ['D a'],
  },
  {
    name: 'what is gone from a folder that was made anew',
    layers: {
      low: { a: 'directory', 'a/b': 'directory', 'a/b/c': 'file', 'a/d': 'file' },
      upper: { a: 'opaque', 'a/d': 'file' },
    },
    changes: ['C a', 'D a/b', 'C a/d'],
  },
  {
    name: 'a folder in the place of a file, and a file in that of a folder',
    layers: {
      low: { a: 'file', b: 'directory', 'b/c': 'file' },
      upper: { a: 'opaque', 'a/x': 'file', b: 'file' },
    },
    changes: ['C a', 'A a/x', 'C b'],
  },
  {
    name: 'nothing for a whiteout of what a layer in between has deleted already',
    layers: { low: { a: 'file' }, middle: { a: 'whiteout' }, upper: { a: 'whiteout' } },
    changes: [],
  },
  {
    name: 'as new what a layer in between hid with an opaque folder',
    layers: {
      low: { a: 'directory', 'a/b': 'file' },
      middle: { a: 'opaque' },
      upper: { a: 'directory', 'a/b': 'file' },
    },
    changes: ['C a', 'A a/b'],
  },
  {
    name: 'nothing of what something is mounted over',
    layers: { low: { m: 'directory' }, upper: { m: 'directory', 'm/a': 'file', mm: 'file' } },
    hidden: ['m'],
    changes: ['A mm'],
  },
  {
    name: 'no folder that was only copied up',
    layers: { low: { a: 'directory' }, upper: { a: 'directory' } },
    changes: [],
  },
];

describe('compareUpper', () => {
  it.each(CASES)('tells $name', ({ layers, hidden = [], changes }) => {
    expect(compare(layers, hidden)).toEqual(changes);
  });
});

describe('escapeName', () => {
  it.each([
    ['plain name', 'plain name'],
    ['a\nb\\', 'a\\nb\\\\'],
    [Buffer.from('é').toString('latin1'), 'é'],
    ['\xff\n', '\\xff\\n'],
    ['\u001b[31m', '\\x1b[31m'],
  ])('writes %j on one line', (name, text) => {
    expect(escapeName(name)).toBe(text);
  });
});

import { describe, expect, it } from 'vitest';
import { renderBars, renderUnpacked } from '../../src/commands/render-layers.ts';
import type { LayerProgress } from '../../src/image/layer-progress.ts';

const MIB = 2 ** 20;

function layer(digit: string, done: number, total: number, milliseconds = 2000): LayerProgress {
  return { layer: digit.repeat(64), phase: 'unpacking', done, total, milliseconds };
}

const CASES: readonly {
  readonly what: string;
  readonly layers: readonly LayerProgress[];
  readonly columns: number;
  readonly lines: readonly string[];
}[] = [
  { what: 'no layers', layers: [], columns: 80, lines: [] },
  {
    what: 'the beginning, half and the end',
    layers: [layer('a', 0, 40 * MIB, 0), layer('b', 20 * MIB, 40 * MIB), layer('c', 3 * MIB, 3 * MIB, 500)],
    columns: 100,
    lines: [
      `aaaaaaaaaaaa [>${' '.repeat(29)}] 0 B of 40.0 MiB`,
      `bbbbbbbbbbbb [${'='.repeat(15)}>${' '.repeat(14)}] 20.0 MiB of 40.0 MiB, 10.0 MiB/s`,
      `cccccccccccc [${'='.repeat(30)}] 3.0 MiB of 3.0 MiB, 6.0 MiB/s`,
    ],
  },
  {
    what: 'a terminal with little room',
    layers: [layer('b', 20 * MIB, 40 * MIB)],
    columns: 60,
    lines: ['bbbbbbbbbbbb [=====>     ] 20.0 MiB of 40.0 MiB, 10.0 MiB/s'],
  },
  {
    what: 'a terminal without room for a bar',
    layers: [layer('b', 20 * MIB, 40 * MIB)],
    columns: 30,
    lines: ['bbbbbbbbbbbb 20.0 MiB of 40.0'],
  },
  {
    what: 'an empty layer',
    layers: [layer('e', 0, 0)],
    columns: 80,
    lines: [`eeeeeeeeeeee [${'='.repeat(30)}] 0 B of 0 B`],
  },
];

describe('bars of layers', () => {
  for (const { what, layers, columns, lines } of CASES) {
    it(`show ${what}`, () => {
      expect(renderBars(layers, columns)).toEqual(lines);
      for (const line of lines) expect(line.length).toBeLessThan(columns);
    });
  }
});

it('a layer that is in the store is a line', () => {
  expect(renderUnpacked({ ...layer('1', 0, 41.2 * MIB, 1290), phase: 'unpacked' })).toBe(
    'layer 111111111111 unpacked: 41.2 MiB in 1.3 s',
  );
});

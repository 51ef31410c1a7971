import { describe, expect, it } from 'vitest';
import { withLayerDisplay, type LayerDisplay } from '../../src/commands/layer-display.ts';
import type { LayerProgress } from '../../src/image/layer-progress.ts';

type Terminal = Parameters<typeof withLayerDisplay>[0];

const TERMINAL = { color: true, quiet: false, json: false, environment: { TERM: 'xterm' } };

/** What it is told is kept as it was written; `screen` is what a person then sees. */
function createTerminal(settings: Partial<typeof TERMINAL> = {}) {
  const state = { now: 0, written: '' };
  const write = (text: string): void => {
    state.written += text;
  };
  const screen = (): readonly string[] => {
    let rows: string[] = [];
    for (const [, up, line] of state.written
      .replaceAll('\u001B', 'ESC')
      .matchAll(/ESC\[(\d+)A\rESC\[J|([^\n]*)\n/g)) {
      if (up === undefined) rows.push(line ?? '');
      else rows = rows.slice(0, rows.length - Number(up));
    }
    return rows;
  };
  const terminal = {
    ...TERMINAL,
    ...settings,
    host: { monotonic: () => state.now },
    columns: () => 80,
    stderr: (line: string) => write(`${line}\n`),
    stderrBytes: async (chunk: Uint8Array) => write(Buffer.from(chunk).toString()),
  } as unknown as Terminal;
  return { terminal, state, screen };
}

const at = (layer: string, done: number, phase: LayerProgress['phase'] = 'unpacking'): LayerProgress => ({
  layer: layer.repeat(64),
  phase,
  done,
  total: 1024,
  milliseconds: 1000,
});

/** Two layers at once, with a remark in between; `seen` after each piece. */
async function pullTwo(terminal: Terminal, seen: () => void = () => undefined): Promise<void> {
  await withLayerDisplay(terminal, async ({ stderr, follow }: LayerDisplay) => {
    const { progress, layerProgress } = follow((text) => (terminal.quiet ? undefined : stderr(text)));
    for (const event of [at('a', 0), at('b', 0), at('a', 512)]) layerProgress?.(event);
    seen();
    progress('a remark');
    seen();
    layerProgress?.(at('a', 1024, 'unpacked'));
    seen();
    layerProgress?.(at('b', 1024, 'unpacked'));
  });
}

const DONE = [
  'a remark',
  'layer aaaaaaaaaaaa unpacked: 1.0 KiB in 1.0 s',
  'layer bbbbbbbbbbbb unpacked: 1.0 KiB in 1.0 s',
];

describe('on a terminal', () => {
  it('bars stay below what is said and are gone at the end', async () => {
    const { terminal, screen } = createTerminal();
    const seen: (readonly string[])[] = [];
    await pullTwo(terminal, () => seen.push(screen().map((row) => row.slice(0, 12))));
    expect(seen).toEqual([
      ['aaaaaaaaaaaa', 'bbbbbbbbbbbb'],
      ['a remark', 'aaaaaaaaaaaa', 'bbbbbbbbbbbb'],
      ['a remark', 'layer aaaaaa', 'bbbbbbbbbbbb'],
    ]);
    expect(screen()).toEqual(DONE);
  });

  it('bars are gone when the work fails', async () => {
    const { terminal, screen } = createTerminal();
    const work = withLayerDisplay(terminal, async ({ follow }) => {
      follow(() => undefined).layerProgress?.(at('a', 512));
      expect(screen()).toHaveLength(1);
      throw new Error('cut');
    });
    await expect(work).rejects.toThrow('cut');
    expect(screen()).toEqual([]);
  });

  it('bars are drawn ten times a second at most', async () => {
    const { terminal, state } = createTerminal();
    await withLayerDisplay(terminal, async ({ follow }) => {
      const { layerProgress } = follow(() => undefined);
      for (; state.now < 1000; state.now += 1) layerProgress?.(at('a', state.now));
    });
    expect(state.written.match(/aaaaaaaaaaaa/g)).toHaveLength(10);
  });
});

describe('without escape codes', () => {
  for (const [what, settings] of Object.entries({
    'no terminal, or no colour': { color: false },
    '--json': { json: true },
    'a dumb terminal': { environment: { TERM: 'dumb' } },
  })) {
    it(`a layer is a line: ${what}`, async () => {
      const { terminal, state } = createTerminal(settings);
      await pullTwo(terminal);
      expect(state.written).toBe(DONE.map((line) => `${line}\n`).join(''));
    });
  }

  it('nothing is said with --quiet', async () => {
    const { terminal, state } = createTerminal({ quiet: true });
    await pullTwo(terminal);
    expect(state.written).toBe('');
  });
});

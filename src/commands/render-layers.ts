// Progress of layers as lines: a bar each while they are made, one line each afterwards.
import type { LayerProgress } from '../image/layer-progress.ts';
import { formatSize } from './format-size.ts';

const WIDEST_BAR = 30;
const NARROWEST_BAR = 5;

/** One line a layer, none as wide as the terminal: a line that wraps could not be redrawn in place. */
export function renderBars(layers: readonly LayerProgress[], columns: number): readonly string[] {
  const rows = layers.map(renderFigures);
  const widest = Math.max(0, ...rows.map((row) => row.length));
  // Columns for a bar beside the short digest, two blanks, two brackets and the figures.
  const room = columns - 1 - 12 - 4 - widest;
  return layers.map((layer, index) => {
    const bar = room < NARROWEST_BAR ? '' : ` [${renderBar(layer, Math.min(room, WIDEST_BAR))}]`;
    return `${shorten(layer)}${bar} ${rows[index] ?? ''}`.slice(0, Math.max(columns - 1, 0));
  });
}

/** The line for a layer that has just got into the store. */
export function renderUnpacked(layer: LayerProgress): string {
  const seconds = (layer.milliseconds / 1000).toFixed(1);
  return `layer ${shorten(layer)} unpacked: ${formatSize(layer.total)} in ${seconds} s`;
}

function renderFigures({ done, total, milliseconds }: LayerProgress): string {
  const bytes = `${formatSize(done)} of ${formatSize(total)}`;
  // Nothing was read yet to tell the speed by.
  if (done === 0 || milliseconds === 0) return bytes;
  return `${bytes}, ${formatSize((done / milliseconds) * 1000)}/s`;
}

function renderBar({ done, total }: LayerProgress, width: number): string {
  const full = total === 0 ? width : Math.min(width, Math.floor((done / total) * width));
  return `${'='.repeat(full)}${full < width ? '>' : ''}`.padEnd(width);
}

/** The digest as `image ls` shows it. */
function shorten({ layer }: LayerProgress): string {
  return layer.slice(0, 12);
}

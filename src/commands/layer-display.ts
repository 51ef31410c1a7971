// Bars of the layers that are being made, redrawn in place below what else is said; only on a terminal that may
// be painted, and gone when the work ends. Elsewhere each layer is a line when it is done.
import type { LayerProgress } from '../image/layer-progress.ts';
import type { LayerContext } from '../image/unpack-tarball.ts';
import type { CommandContext } from './context.ts';
import { renderBars, renderUnpacked } from './render-layers.ts';

const REDRAW_MS = 100;

type Terminal = Pick<
  CommandContext,
  'host' | 'color' | 'quiet' | 'json' | 'environment' | 'columns' | 'stderr' | 'stderrBytes'
>;

export interface LayerDisplay {
  /** A line for people that leaves the bars whole. */
  readonly stderr: (line: string) => void;
  /** Callbacks for the makers of layers; `say` gets what is worth a line. */
  follow(say: (text: string) => void): Pick<LayerContext, 'progress' | 'layerProgress'>;
}

/** Shows bars while `work` runs, which has to say everything by the display: other lines would break the bars. */
export async function withLayerDisplay<T>(
  terminal: Terminal,
  work: (display: LayerDisplay) => Promise<T>,
): Promise<T> {
  const bars = canDraw(terminal) ? new Bars(terminal) : undefined;
  const stderr = (line: string): void => (bars === undefined ? terminal.stderr(line) : bars.say(line));
  const follow: LayerDisplay['follow'] = (say) => ({
    progress: say,
    layerProgress(event) {
      bars?.show(event);
      if (event.phase === 'unpacked') say(renderUnpacked(event));
    },
  });
  try {
    return await work({ stderr, follow });
  } finally {
    bars?.clear();
  }
}

/** Whether bars may be drawn: users who turn colour off want no other escape codes either. */
function canDraw({ color, quiet, json, environment }: Terminal): boolean {
  return color && !quiet && !json && environment['TERM'] !== 'dumb';
}

class Bars {
  private readonly layers = new Map<string, LayerProgress>();
  private readonly terminal: Terminal;
  private drawn = 0;
  private next = 0;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  show(event: LayerProgress): void {
    const isNews = event.phase === 'unpacked' || !this.layers.has(event.layer);
    if (event.phase === 'unpacked') this.layers.delete(event.layer);
    else this.layers.set(event.layer, event);
    const now = this.terminal.host.monotonic();
    if (!isNews && now < this.next) return;
    this.next = now + REDRAW_MS;
    this.draw('');
  }

  say(line: string): void {
    this.draw(`${line}\n`);
  }

  clear(): void {
    this.layers.clear();
    this.draw('');
  }

  /**
   * Moves up to the first bar, erases everything below it, and writes text that stays and the bars anew, in one write.
   */
  private draw(text: string): void {
    const bars = renderBars([...this.layers.values()], this.terminal.columns());
    const erase = this.drawn === 0 ? '' : `\u001B[${this.drawn}A\r\u001B[J`;
    this.drawn = bars.length;
    const all = `${erase}${text}${bars.map((bar) => `${bar}\n`).join('')}`;
    if (all !== '') void this.terminal.stderrBytes(Buffer.from(all));
  }
}

// Progress of making a layer: values for a caller that draws them, else a line of text now and then.
import type { LayerContext } from './unpack-tarball.ts';

export interface LayerProgress {
  /** Key of the layer in the store. */
  readonly layer: string;
  /** `unpacking` seldom more often than ten times a second, then `unpacked` once: the layer is in the store. */
  readonly phase: 'unpacking' | 'unpacked';
  /** Bytes of the archive as stored: those read so far (`done`), and all (`total`). */
  readonly done: number;
  readonly total: number;
  /** Time since the work on the layer began. */
  readonly milliseconds: number;
}

const SPOKEN_MS = 500;

/** Reports on a layer of `total` stored bytes, timed from this call. */
export function followLayer(
  { host, progress, layerProgress }: LayerContext,
  layer: string,
  total: number,
): { passed(done: number): void; unpacked(how: string): void } {
  const started = host.monotonic();
  const tell = (phase: LayerProgress['phase'], done: number): void =>
    layerProgress?.({ layer, phase, done, total, milliseconds: host.monotonic() - started });
  let spoken = started;
  tell('unpacking', 0);
  return {
    passed(done) {
      tell('unpacking', done);
      if (layerProgress !== undefined || host.monotonic() < spoken + SPOKEN_MS) return;
      spoken = host.monotonic();
      progress(`unpacked ${megabytes(done)} of ${megabytes(total)}`);
    },
    unpacked(how) {
      tell('unpacked', total);
      if (layerProgress === undefined) progress(how);
    },
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

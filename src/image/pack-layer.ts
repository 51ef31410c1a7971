// Packs one layer as an archive in a file: planned, read by GNU tar, made canonical, hashed.
import type { LayerFiles, PackTarget, Packed, Packing } from '../host/packing.ts';
import { archiveOf, type PackSummary } from './pack-filter.ts';
import type { Planned } from './plan-packing.ts';

export interface PackableLayer {
  /** Text for the history of the image. */
  readonly createdBy: string;
  /** Folders that its entries come from. */
  readonly roots: readonly string[];
  plan(files: LayerFiles): Iterable<Planned>;
}

/** @param latest seconds since the epoch; later times are cut down to it. */
export async function packLayer(
  packing: Packing,
  layer: PackableLayer,
  target: PackTarget,
  latest: number | undefined,
  signal: AbortSignal,
): Promise<Packed & PackSummary> {
  const { entries, filter, summary } = archiveOf(layer.plan(packing), latest);
  const packed = await packing.pack({ roots: layer.roots, entries }, filter, target, signal);
  return { ...packed, ...summary() };
}

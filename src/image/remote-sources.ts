// Which sources of a spec lie elsewhere, and have to be in the store before its container can be made. Pure.
import type { LayerSource, RootfsSource, Spec } from '../load/spec.ts';

export interface FetchOptions {
  /** Pinned archives of this host as well, so that a wrong one is found before anything else is done. */
  readonly local: boolean;
}

export function namesRemote({ rootfs, layers }: Spec, options: FetchOptions): boolean {
  return [rootfs, ...layers].some((source) => isFetched(source, options));
}

export function isFetched(source: RootfsSource | LayerSource, { local }: FetchOptions): boolean {
  if (source.kind === 'image') return isRemote(source.image);
  return source.kind === 'tarball' && (local || isUrl(source.tarball));
}

/** Only what comes over a network is remembered by a tag: folders and files are read each time. */
export function isRemote(reference: string): boolean {
  return reference.startsWith('docker://');
}

export function isUrl(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

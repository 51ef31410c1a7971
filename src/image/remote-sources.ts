// Remote sources of a spec, which have to be in the store before its container can be made. Pure.
import type { LayerSource, RootfsSource, Spec } from '../load/spec.ts';

export interface FetchOptions {
  /** True counts archives of this host as well: a wrong pinned one is found before anything else is done. */
  readonly local: boolean;
}

export function namesRemote({ rootfs, layers }: Spec, options: FetchOptions): boolean {
  return [rootfs, ...layers].some((source) => isFetched(source, options));
}

export function isFetched(source: RootfsSource | LayerSource, { local }: FetchOptions): boolean {
  if (source.kind === 'image') return isRemote(source.image);
  return source.kind === 'tarball' && (local || isUrl(source.tarball));
}

/**
 * Whether an image comes over a network. Only such an image is remembered by a tag: folders and files are read each
 * time.
 */
export function isRemote(reference: string): boolean {
  return reference.startsWith('docker://');
}

export function isUrl(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

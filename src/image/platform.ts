// Platforms of images, and which of several images of an index this machine can run.
import type { Platform } from './image.ts';

/** Architectures by Node's names: images use Go's. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mipsel: 'mipsle',
};

/** Variants that a machine runs, best first; an image that names none counts as the first of them. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  amd64: ['v1'],
  arm64: ['v8'],
  arm: ['v7', 'v6', 'v5'],
};

/** @param architecture as in process.arch. */
export function platformOf(architecture: string): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[architecture] ?? architecture };
}

/** Rank of an image: 0 fits best, undefined cannot run. */
export function rankPlatform(wanted: Platform, offered: Platform): number | undefined {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return undefined;
  const variants = VARIANTS[wanted.architecture] ?? [];
  const runnable = wanted.variant === undefined ? variants : variants.slice(variants.indexOf(wanted.variant));
  if (offered.variant === undefined) return 0;
  const rank = runnable.indexOf(offered.variant);
  return rank === -1 ? undefined : rank;
}

export function describePlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

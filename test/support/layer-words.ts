// The words in which tests say what layers of images hold, and what tools may disagree on. Data is written with them.
import { archive, entry, pax, type EntryOptions } from '../image/write-tar.ts';

export type Peer = 'umoci' | 'podman';

export interface TreeImage {
  readonly name: string;
  /** Lowest first. */
  readonly layers: readonly { readonly tar: Buffer; readonly compression?: 'none' | 'gzip' | 'zstd' }[];
  readonly differs?: Partial<Readonly<Record<Peer, Difference>>>;
}

export interface Difference {
  readonly reason: string;
  /** It takes no such image, and says so. */
  readonly refusal?: RegExp;
  /** Lines of runspec's tree that the peer lacks, and lines it has instead. */
  readonly lines?: { readonly runspec: readonly RegExp[]; readonly peer: readonly RegExp[] };
}

export type Options = Omit<EntryOptions, 'name'>;

export const layer = (...entries: readonly Buffer[]): { readonly tar: Buffer } => ({
  tar: archive(...entries),
});
export const folder = (name: string, options: Options = {}): Buffer =>
  entry({ name: `${name}/`, type: '5', mode: 0o755, ...options });
export const file = (name: string, data = name, options: Options = {}): Buffer =>
  entry({ name, data, ...options });
export const link = (name: string, target: string): Buffer =>
  entry({ name, type: '2', link: target, mode: 0o777 });
export const hard = (name: string, target: string, options: Options = {}): Buffer =>
  entry({ ...options, name, type: '1', link: target });
export const whiteout = (name: string): Buffer => entry({ name });
export const capability = '\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0';
export const xattr = (name: string, value: string): Buffer => pax({ [`SCHILY.xattr.${name}`]: value });

/** Folders with marks by which it is seen whose attributes are shown. */
export const BASE = layer(
  folder('etc'),
  file('etc/passwd'),
  file('etc/group'),
  folder('tmp', { mode: 0o1777 }),
  file('tmp/old'),
  folder('var', { mode: 0o750, uid: 1, gid: 2 }),
  folder('var/lib', { mode: 0o2775, uid: 3, gid: 4 }),
  file('var/lib/a'),
  file('var/lib/b'),
  folder('var/lib/deep', { mode: 0o700, uid: 5, gid: 6 }),
  file('var/lib/deep/c'),
  link('lib', 'usr/lib'),
  folder('usr'),
  folder('usr/lib'),
  file('usr/lib/so', 'elf', { mode: 0o755 }),
);

// Packing: what reading layers back needs of the machine, entries as the kernel has them and GNU tar's stream of the
// selected ones. It only moves bytes; callers decide which entries, and what becomes of them in an archive.
import type { FileType } from './host.ts';

/**
 * A name, path or link target, one character a byte (latin1): the kernel knows bytes, and images have names that
 * are not UTF-8.
 */
export type ByteString = string;

/** `whiteout`: a character device 0/0, by which overlayfs says that the layers below no longer have the name. */
export type LayerEntryType = FileType | 'whiteout';

export interface LayerName {
  readonly name: ByteString;
  readonly type: LayerEntryType;
}

export interface LayerEntry {
  readonly type: LayerEntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch, as decimal text. */
  readonly mtimeNs: string;
  /** Device nodes only, as the kernel encodes it. */
  readonly device?: number;
  /** Symlinks only. */
  readonly target?: ByteString;
}

/** Synchronous: each call takes microseconds from the kernel's caches. `path` is relative, `''` the root itself. */
export interface LayerFiles {
  /** Entries of a folder, sorted by bytes; undefined when there is no folder. */
  list(root: string, path: ByteString): readonly LayerName[] | undefined;
  status(root: string, path: ByteString): LayerEntry | undefined;
}

/** An entry below the folder of a layer. */
export interface LayerPath {
  readonly root: string;
  readonly path: ByteString;
}

export interface Selection {
  /** Roots that entries may name. */
  readonly roots: readonly string[];
  /** Iterated once, as GNU tar asks for more. */
  readonly entries: Iterable<LayerPath>;
}

/** Turns GNU tar's output into the archive that is kept. */
export interface TarFilter {
  write(chunk: Buffer): readonly Buffer[];
  end(): readonly Buffer[];
}

export interface PackTarget {
  readonly file: string;
  /** Bytes at the start of the file that stay; everything behind them is replaced. */
  readonly offset: number;
  readonly compress: boolean;
}

export interface Packed {
  /** SHA-256 of the archive, uncompressed, in lower-case hex. */
  readonly content: string;
  /** SHA-256 of the bytes as written, in lower-case hex. */
  readonly stored: string;
  /** Bytes written. */
  readonly size: number;
}

export interface Packing extends LayerFiles {
  /** Passes GNU tar's stream of these entries, each a file of its own and in this order, to `take` chunk by chunk. */
  read(selection: Selection, take: (chunk: Buffer) => void, signal: AbortSignal): Promise<void>;
  /** Writes GNU tar's stream of these entries through `filter` into a file; hard links stay hard links. */
  pack(selection: Selection, filter: TarFilter, target: PackTarget, signal: AbortSignal): Promise<Packed>;
  /** Writes over a part of a file, or behind its end. */
  writeAt(file: string, offset: number, bytes: Buffer): Promise<void>;
  /** Cuts a file down to so many bytes. */
  cut(file: string, size: number): Promise<void>;
  /** Permission bits that the user's umask leaves a new file. */
  readonly fileMode: number;
}

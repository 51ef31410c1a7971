// What making layers needs of the machine beyond Host: bytes in bulk, hashed, fetched, unpacked and copied.
// It moves bytes and says what it saw; what an archive may contain is decided by the inspector it is given.
import type { Readable } from 'node:stream';
import type { ArchiveLimits } from './archive-limits.ts';
import type { FileStatus } from './host.ts';
import type { FetchRequest, HttpResponse } from './http.ts';

/**
 * Stands between an unpacked tar stream and GNU tar: sees every byte first, and gives what GNU tar is to read in
 * its place; throws to refuse the archive.
 */
export interface TarInspector {
  /** `compressed`: bytes read so far of the archive as stored. */
  write(chunk: Buffer, compressed: number): readonly Buffer[];
  /** The stream is complete. */
  end(): readonly Buffer[];
}

export interface TransferOptions {
  readonly signal: AbortSignal;
  progress(text: string): void;
}

export interface CopySource {
  readonly root: string;
  readonly names: readonly string[];
  readonly recursive: boolean;
  /** Options of an overlay that is mounted for this alone, seen from `folder`: then `root` is a path in it. */
  readonly overlay?: { readonly options: string; readonly folder?: string };
}

export interface CopyOptions extends TransferOptions {
  readonly inspector: TarInspector;
}

export interface UnpackOptions {
  readonly signal: AbortSignal;
  readonly inspector: TarInspector;
  /** Bytes of the archive as stored that were read so far. Ten times a second at most. */
  passed(done: number): void;
}

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd';

export type HashName = 'sha256' | 'sha512';

export interface StreamOptions extends UnpackOptions {
  /** What the stream has to be; other content is refused. */
  readonly compression: Compression;
  /** Bytes as stored: more are refused as they come, fewer at the end. */
  readonly size: number;
  /** What to hash the stored bytes and the unpacked stream with. */
  readonly hashes: { readonly stored: HashName; readonly content: HashName };
}

export interface DownloadOptions extends TransferOptions {
  /** Bytes; more is an error. */
  readonly limit: number;
  /** Plain http to other machines is accepted, because the content is checked against a pin. */
  readonly pinned: boolean;
}

export interface Content {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

export interface TreeEntry {
  /** Relative to the walked folder, `.` for itself. */
  readonly path: string;
  readonly status: FileStatus;
  /** Symlinks only: the target as stored. */
  readonly target?: string;
}

export interface OpenFileOptions {
  readonly signal: AbortSignal;
  /** Folder that no symlink on the way may lead out of. */
  readonly within?: string;
  /** First byte, 0 by default. */
  readonly start?: number;
  /** Bytes from there; to the end by default. */
  readonly length?: number;
  /** The file is compressed with gzip, and what was compressed is meant: all before `start` is unpacked to get there. */
  readonly gunzip?: boolean;
}

export interface Archives {
  readonly limits: ArchiveLimits;
  hash(path: string, signal: AbortSignal): Promise<Content>;
  /** Sends a request and follows where it leads; any status is an answer. Tries again where that can help. */
  fetch(request: FetchRequest): Promise<HttpResponse>;
  /** The body of `response`, and what `again` gives behind each place where the connection is cut. */
  resume(
    response: HttpResponse,
    again: (headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<HttpResponse>,
    signal: AbortSignal,
  ): Readable;
  /** Fetches an http(s) URL into a new file at `path`. */
  download(url: string, path: string, options: DownloadOptions): Promise<Content>;
  /** Unpacks an archive (plain, gzip, zstd or xz, told apart by its first bytes) into an empty folder. */
  unpack(archive: string, directory: string, options: UnpackOptions): Promise<Content>;
  /** Unpacks an archive as it comes, in one pass; gives the hashes, in lower-case hex, for the caller to judge. */
  unpackStream(
    source: Readable,
    directory: string,
    options: StreamOptions,
  ): Promise<{ readonly stored: string; readonly content: string }>;
  /**
   * Copies with owners, modes, times, links, user.* attributes and file capabilities. `names` are relative to
   * `root` and never followed when symlinks; `recursive` takes what is below them along. Sockets are left out.
   */
  copy(source: CopySource, directory: string, options: CopyOptions): Promise<void>;
  /**
   * Of a folder's content as it would be copied: names, types, modes, owners, links, bytes, attributes, and no times.
   * Lower-case hex of a sha256.
   */
  digest(root: string, signal: AbortSignal): Promise<string>;
  /** A folder and everything below it, parents first, names sorted; symlinks are not followed. */
  walk(root: string, signal: AbortSignal): Promise<readonly TreeEntry[]>;
  /** Up to `length` bytes of a regular file; fewer at its end. */
  read(path: string, offset: number, length: number): Promise<Buffer>;
  /**
   * The bytes of a regular file. Symlinks are followed; whatever else they lead to (a fifo that nobody writes
   * to, a device) is refused with an OperationError and never opened.
   */
  openFile(path: string, options: OpenFileOptions): Promise<Readable>;
  /** Everything written to the file system that holds `path` is on the disk when this resolves. */
  sync(path: string): Promise<void>;
}

/** https always; plain http only for pinned content and from this machine, as anyone on the way could change it. */
export function mayFetch(url: URL, pinned: boolean): boolean {
  const loopback = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && (pinned || loopback));
}

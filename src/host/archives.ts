// Archives: what making layers needs of the machine beyond Host, bytes in bulk, hashed, fetched, unpacked and copied.
// It only moves bytes and says what it saw; the inspector it is given decides what an archive may contain.
import type { Readable } from 'node:stream';
import type { ArchiveLimits } from './archive-limits.ts';
import type { FileStatus } from './host.ts';
import type { FetchRequest, HttpResponse } from './http.ts';

/**
 * Inspector between an unpacked tar stream and GNU tar: sees every byte first, and gives what GNU tar is to read in its
 * place; throws to refuse the archive.
 */
export interface TarInspector {
  /** @param compressed bytes of the stored archive that were read so far. */
  write(chunk: Buffer, compressed: number): readonly Buffer[];
  /** Called at the end of the stream; gives the last bytes for GNU tar. */
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
  /** An overlay mounted for this copy alone, with options seen from `folder`; `root` is then a path in it. */
  readonly overlay?: { readonly options: string; readonly folder?: string };
}

export interface CopyOptions extends TransferOptions {
  readonly inspector: TarInspector;
}

export interface UnpackOptions {
  readonly signal: AbortSignal;
  readonly inspector: TarInspector;
  /** Reports the bytes of the stored archive read so far, ten times a second at most. */
  passed(done: number): void;
}

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd';

export type HashName = 'sha256' | 'sha512';

export interface StreamOptions extends UnpackOptions {
  /** Compression that the stream must have; any other is refused. */
  readonly compression: Compression;
  /** Bytes as stored: more are refused as they come, fewer at the end. */
  readonly size: number;
  /** Algorithms for the stored bytes and for the unpacked stream. */
  readonly hashes: { readonly stored: HashName; readonly content: HashName };
}

export interface DownloadOptions extends TransferOptions {
  /** Most bytes to fetch; more is an error. */
  readonly limit: number;
  /** True accepts plain http from other machines, because the content is checked against a pin. */
  readonly pinned: boolean;
}

export interface Content {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

export interface TreeEntry {
  /** Path relative to the walked folder, `.` for itself. */
  readonly path: string;
  readonly status: FileStatus;
  /** Symlinks only: the target as stored. */
  readonly target?: string;
}

export interface OpenFileOptions {
  readonly signal: AbortSignal;
  /** Folder that no symlink on the way may lead out of. */
  readonly within?: string;
  /** Offset of the first byte, 0 by default. */
  readonly start?: number;
  /** Number of bytes from there; to the end by default. */
  readonly length?: number;
  /**
   * The file is compressed with gzip, and `start` and `length` count unpacked bytes: all before `start` is unpacked
   * too.
   */
  readonly gunzip?: boolean;
}

export interface Archives {
  readonly limits: ArchiveLimits;
  hash(path: string, signal: AbortSignal): Promise<Content>;
  /** Sends a request, follows redirects and retries where that can help; any status but a redirect is an answer. */
  fetch(request: FetchRequest): Promise<HttpResponse>;
  /** Body of `response`; each time the connection is cut, `again` fetches the rest. */
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
   * Copies with owners, modes, times, links, user.* attributes and file capabilities. `names` are relative to `root`
   * and never followed when they are symlinks; `recursive` takes along what is below them. Sockets are left out.
   */
  copy(source: CopySource, directory: string, options: CopyOptions): Promise<void>;
  /**
   * Digest of a folder's content as `copy` would take it: names, types, modes, owners, links, bytes, attributes, no
   * times.
   * @returns SHA-256 in lower-case hex.
   */
  digest(root: string, signal: AbortSignal): Promise<string>;
  /** Lists a folder and everything below it, parents first, names sorted; symlinks are not followed. */
  walk(root: string, signal: AbortSignal): Promise<readonly TreeEntry[]>;
  /** Reads up to `length` bytes of a regular file; fewer at its end. */
  read(path: string, offset: number, length: number): Promise<Buffer>;
  /**
   * Opens the bytes of a regular file. Symlinks are followed; a target of another type (a fifo that nobody writes to, a
   * device) is refused with an OperationError and never opened.
   */
  openFile(path: string, options: OpenFileOptions): Promise<Readable>;
  /** Syncs: everything written to the file system that holds `path` is on the disk when this resolves. */
  sync(path: string): Promise<void>;
}

/**
 * Whether a URL may be fetched: https always, plain http only for pinned content and from this machine, as anyone on
 * the way could change it.
 */
export function mayFetch(url: URL, pinned: boolean): boolean {
  const loopback = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && (pinned || loopback));
}

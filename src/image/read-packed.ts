// Cuts the stream of runspec's own GNU tar into entries and their data. Unlike an archive from elsewhere, the stream
// holds only what was asked for: pax headers before entries, marks of the overlay included. Pure; names are byte
// strings.
import type { ByteString } from '../host/packing.ts';
import { readPax, xattrsOf } from './pax.ts';
import { BLOCK, isZero, paxNumber, readAttributes, readDevice, readHeader } from './tar-header.ts';

export interface PackedEntry {
  readonly name: ByteString;
  /** Target of a symlink, or the entry that a hard link is another name of. */
  readonly link: ByteString;
  /** Type as in tar headers: 0 file, 1 hard link, 2 symlink, 3 and 4 devices, 5 folder, 6 fifo. */
  readonly type: string;
  /** Bytes of data that follow. */
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds as pax spells them: `1700000000.25`. */
  readonly mtime: string;
  /** Extended attributes by name, as in `user.note`. */
  readonly xattrs: ReadonlyMap<string, ByteString>;
  readonly device: { readonly major: number; readonly minor: number };
}

export interface PackedReceiver {
  entry(entry: PackedEntry): void;
  /** Data of the last entry, without padding. */
  data(chunk: Buffer): void;
}

/** A push parser; a thing with a lifetime: one stream. */
export class PackedReader {
  readonly #receiver: PackedReceiver;
  /** Part of a block that the next chunk completes. */
  #rest: Buffer = Buffer.alloc(0);
  #data = 0;
  #padding = 0;
  #pax: { readonly size: number; readonly parts: Buffer[] } | undefined;
  #records: ReadonlyMap<string, string> = new Map();

  constructor(receiver: PackedReceiver) {
    this.#receiver = receiver;
  }

  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#data > 0) {
        const piece = chunk.subarray(at, at + this.#data);
        this.#data -= piece.length;
        at += piece.length;
        if (this.#pax === undefined) this.#receiver.data(piece);
        // Copied: the chunk's memory is the stream's to reuse.
        else this.#pax.parts.push(Buffer.from(piece));
        if (this.#data === 0) this.#endPax();
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, chunk.length - at);
        this.#padding -= skipped;
        at += skipped;
      } else {
        const piece = chunk.subarray(at, at + BLOCK - this.#rest.length);
        at += piece.length;
        this.#rest = Buffer.concat([this.#rest, piece]);
        if (this.#rest.length < BLOCK) return;
        const block = this.#rest;
        this.#rest = Buffer.alloc(0);
        this.#takeHeader(block);
      }
    }
  }

  #takeHeader(block: Buffer): void {
    // A block of zeros is the end of the archive.
    if (isZero(block)) return;
    const header = readHeader(block);
    if (header.type === 'x') {
      this.#pax = { size: header.size, parts: [] };
      this.#expect(header.size);
      return;
    }
    const pax = this.#records;
    this.#records = new Map();
    const { mode, uid, gid, mtime } = readAttributes(block);
    const isDevice = header.type === '3' || header.type === '4';
    const entry = {
      name: pax.get('path') ?? header.name,
      link: pax.get('linkpath') ?? header.link,
      type: header.type,
      size: paxNumber(pax, 'size') ?? header.size,
      mode,
      uid: paxNumber(pax, 'uid') ?? uid,
      gid: paxNumber(pax, 'gid') ?? gid,
      mtime: pax.get('mtime') ?? String(mtime),
      xattrs: xattrsOf(pax),
      device: isDevice ? readDevice(block) : { major: 0, minor: 0 },
    };
    this.#receiver.entry(entry);
    this.#expect(entry.size);
  }

  #endPax(): void {
    if (this.#pax === undefined) return;
    this.#records = readPax(Buffer.concat(this.#pax.parts));
    this.#pax = undefined;
  }

  #expect(size: number): void {
    this.#data = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }
}

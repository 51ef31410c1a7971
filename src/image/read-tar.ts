// Cuts a tar stream into entries as GNU tar would see them, long names and pax records applied, and gives back the
// parts that GNU tar shall read. Data is passed on, never kept. Checks the form only; the receiver decides what an
// entry may be, and whether it stays.
import { filterPax, paxBlocks, readPax } from './pax.ts';
import { BLOCK, isZero, paxNumber, readHeader, refuse, type TarHeader } from './tar-header.ts';

/** Bytes of long names and pax records, which are held in memory. */
const META_MAX = 4 * 2 ** 20;
/**
 * Bytes of the map of one sparse file, held in memory here and by GNU tar: at 21 pieces a block 688,128 pieces, beyond
 * what any file of an image has.
 */
const MAP_MAX = 16 * 2 ** 20;
const DAMAGED = 'the archive is damaged or was cut short; fetch it again';

export interface TarEntry extends TarHeader {
  /** Bytes of the file once unpacked; more than `size` for sparse files. */
  readonly claims: number;
  /** Pax records that the filter left. */
  readonly pax: ReadonlyMap<string, string>;
  /** Header block as it came. */
  readonly block: Buffer;
}

/** Fate of an entry in the stream that is passed on. */
export type Verdict = 'keep' | 'drop';

/** A push parser; a thing with a lifetime: one archive from its first byte to `end`. */
export class TarReader {
  #expect: 'header' | 'data' | 'meta' | 'sparse-map' | 'end' = 'header';
  /** Part of a block that the next chunk completes. */
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes of data or meta still to come, padding included. */
  #remaining = 0;
  #entries = 0;
  #empty = true;
  #meta: { readonly header: Buffer; readonly size: number; readonly parts: Buffer[] } | undefined;
  #sparse: { readonly header: TarHeader; readonly block: Buffer; mapped: number } | undefined;
  /** Long names for the entry to come, by the type of their header (L, K). */
  readonly #long = new Map<string, string>();
  #pax: ReadonlyMap<string, string> | undefined;
  /** Blocks of the entry to come that wait for its verdict. */
  #held: Buffer[] = [];
  #verdict: Verdict = 'keep';
  #out: Buffer[] = [];
  readonly #receive: (entry: TarEntry) => Verdict;

  constructor(receive: (entry: TarEntry) => Verdict) {
    this.#receive = receive;
  }

  /** Bytes of data that come next. A caller that can seek may step over them: see `skip`. */
  get skippable(): number {
    return this.#expect === 'data' ? this.#remaining : 0;
  }

  /** The next `write` begins behind the data of the last entry. */
  skip(): void {
    if (this.#expect !== 'data') return;
    this.#remaining = 0;
    this.#expect = 'header';
  }

  /**
   * Takes a chunk and returns the parts to pass on. The end of the archive is held back, as more may be put before it.
   */
  write(chunk: Buffer): readonly Buffer[] {
    this.#out = [];
    this.#empty &&= chunk.length === 0;
    for (let at = 0; at < chunk.length;) {
      if (this.#expect === 'data') {
        const step = Math.min(this.#remaining, chunk.length - at);
        if (this.#verdict === 'keep') this.#out.push(chunk.subarray(at, at + step));
        this.#remaining -= step;
        at += step;
        if (this.#remaining === 0) this.#expect = 'header';
        continue;
      }
      const part = chunk.subarray(at, at + BLOCK - this.#rest.length);
      at += part.length;
      const block = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part]);
      if (block.length < BLOCK) {
        // Copied: the chunk's memory is the stream's to reuse.
        this.#rest = Buffer.from(block);
        break;
      }
      this.#rest = Buffer.alloc(0);
      this.#takeBlock(block);
    }
    return this.#out;
  }

  end(): void {
    if (this.#empty) throw refuse('it is empty', DAMAGED);
    if (this.#expect !== 'end')
      throw refuse(`it ends in the middle, after ${this.#entries} entries`, DAMAGED);
    if (!isZero(this.#rest)) throw this.#trailing();
  }

  /** One whole block, outside of data. */
  #takeBlock(block: Buffer): void {
    switch (this.#expect) {
      case 'header':
        this.#takeHeader(block);
        return;
      case 'meta':
        this.#meta?.parts.push(Buffer.from(block));
        this.#remaining -= BLOCK;
        if (this.#remaining === 0) this.#endMeta();
        return;
      case 'sparse-map':
        this.#takeMapBlock(block);
        return;
      case 'end':
        if (!isZero(block)) throw this.#trailing();
        return;
      case 'data':
        return;
    }
  }

  #takeMapBlock(block: Buffer): void {
    const sparse = this.#sparse;
    if (sparse === undefined) return;
    sparse.mapped += BLOCK;
    if (sparse.mapped > MAP_MAX)
      throw refuse(`the map of a sparse file is over the limit of ${MAP_MAX} bytes`);
    this.#held.push(Buffer.from(block));
    // Byte 504 of a map block says whether another follows.
    if (block[504] !== 1) this.#takeEntry(sparse.header, sparse.block);
  }

  #trailing(): Error {
    return refuse(`there is something behind its end, after ${this.#entries} entries`);
  }

  #takeHeader(block: Buffer): void {
    if (isZero(block)) {
      if (this.#long.size > 0 || this.#pax !== undefined) throw refuse('a long name belongs to no entry');
      this.#expect = 'end';
      return;
    }
    const header = readHeader(block);
    if ('LKxg'.includes(header.type)) {
      if (header.size > META_MAX)
        throw refuse(`a header of ${header.size} bytes is over the limit of ${META_MAX}`);
      if (header.size === 0) throw refuse(`a header of type ${header.type} is empty`);
      this.#meta = { header: Buffer.from(block), size: header.size, parts: [] };
      this.#expectData('meta', header.size);
      return;
    }
    const own = Buffer.from(block);
    this.#held.push(own);
    if (header.sparse?.extended === true) {
      this.#sparse = { header, block: own, mapped: 0 };
      this.#expect = 'sparse-map';
    } else {
      this.#takeEntry(header, own);
    }
  }

  #takeEntry(header: TarHeader, block: Buffer): void {
    const pax = this.#pax ?? new Map<string, string>();
    const longName = this.#long.get('L');
    const longLink = this.#long.get('K');
    if ((longName !== undefined && pax.has('path')) || (longLink !== undefined && pax.has('linkpath'))) {
      throw refuse('an entry has two names');
    }
    const size = paxNumber(pax, 'size') ?? header.size;
    const claims =
      paxNumber(pax, 'GNU.sparse.realsize') ?? paxNumber(pax, 'GNU.sparse.size') ?? header.sparse?.size;
    const entry = {
      ...header,
      name: pax.get('GNU.sparse.name') ?? pax.get('path') ?? longName ?? header.name,
      link: pax.get('linkpath') ?? longLink ?? header.link,
      size,
      claims: Math.max(size, claims ?? 0),
      pax,
      block,
    };
    this.#long.clear();
    this.#pax = this.#sparse = undefined;
    this.#entries += 1;
    // A regular file whose name ends in a slash is a folder of the V7 format.
    this.#verdict = this.#receive(
      entry.type === '0' && entry.name.endsWith('/') ? { ...entry, type: '5' } : entry,
    );
    // One by one and not as arguments of one push: a call takes only so many.
    if (this.#verdict === 'keep') for (const held of this.#held) this.#out.push(held);
    this.#held = [];
    this.#expectData('data', size);
  }

  #expectData(what: 'data' | 'meta', size: number): void {
    this.#remaining = Math.ceil(size / BLOCK) * BLOCK;
    this.#expect = this.#remaining === 0 ? 'header' : what;
  }

  #endMeta(): void {
    if (this.#meta === undefined) return;
    const { header, size, parts } = this.#meta;
    const type = header.toString('latin1', 156, 157);
    const blocks = Buffer.concat(parts);
    const data = blocks.subarray(0, size);
    this.#meta = undefined;
    this.#expect = 'header';
    if (type === 'g') {
      checkGlobal(readPax(data));
      this.#out.push(...paxBlocks(header, filterPax(data)));
      return;
    }
    if (this.#long.has(type) || (type === 'x' && this.#pax !== undefined))
      throw refuse('an entry has two names');
    if (type === 'x') {
      const kept = filterPax(data);
      this.#pax = readPax(kept);
      this.#held.push(...paxBlocks(header, kept));
    } else {
      this.#long.set(type, data.toString('latin1').replace(/\0.*$/s, ''));
      this.#held.push(header, blocks);
    }
  }
}

function checkGlobal(records: ReadonlyMap<string, string>): void {
  const forbidden = [...records.keys()].find((key) => /^(?:path|linkpath|size|GNU\.sparse\..*)$/.test(key));
  if (forbidden !== undefined) throw refuse(`a global header sets ${forbidden} for every entry`);
}

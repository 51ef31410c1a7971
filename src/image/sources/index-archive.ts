// Index of a tar archive: where its files lie, taken from an archive that can be read at any place, or from a stream.
import { posix } from 'node:path';
import type { ArchiveLimits } from '../../host/archive-limits.ts';
import { checkSize } from '../inspect-tar.ts';
import { TarReader, type TarEntry } from '../read-tar.ts';
import { BLOCK, printable, refuse } from '../tar-header.ts';

const MOST_FILES = 20_000;

/** Bytes at the start of a file that tell how it is compressed. */
export const HEAD = 4;

/** Bytes of a file in the archive, unpacked. */
export interface Stretch {
  readonly start: number;
  readonly length: number;
  /** First bytes, in hex, only from a stream: reading them later would unpack all before them again. */
  head?: string;
}

export type Place = Stretch | { readonly target: string };

/** @param read gives some bytes from `offset` on. */
export async function indexArchive(
  read: (offset: number) => Promise<Buffer>,
  size: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Place>> {
  const index = createIndex();
  let behind = 0;
  let window = await read(0);
  let from = 0;
  while (behind < size) {
    if (behind < from || behind + BLOCK > from + window.length) {
      signal.throwIfAborted();
      window = await read(behind);
      from = behind;
      if (window.length === 0) break;
    }
    const block = window.subarray(behind - from, behind - from + BLOCK);
    behind += block.length;
    behind += index.take(block, behind);
  }
  if (behind > size)
    throw refuse('it ends in the middle', 'the archive was cut short; make or fetch it again');
  return index.end();
}

/** @param compressed bytes that the stream is unpacked from. */
export async function indexStream(
  stream: AsyncIterable<Buffer>,
  compressed: number,
  limits: ArchiveLimits,
): Promise<ReadonlyMap<string, Place>> {
  const index = createIndex();
  let behind = 0;
  /** Bytes of a file's data still to come. */
  let ahead = 0;
  for await (const chunk of stream) {
    checkSize(limits, behind + chunk.length, compressed);
    for (let at = 0; at < chunk.length;) {
      const length = ahead > 0 ? ahead : BLOCK - (behind % BLOCK);
      const part = chunk.subarray(at, at + length);
      at += part.length;
      behind += part.length;
      if (ahead > 0) {
        index.see(part);
        ahead -= part.length;
      } else ahead = index.take(part, behind);
    }
  }
  return index.end();
}

interface Index {
  /**
   * Takes a block, or a part of one, that is no file's data.
   *
   * @param behind the place behind it.
   * @returns how many bytes of a file's data come next.
   */
  take(block: Buffer, behind: number): number;
  /** Shows data of the file that was found last. */
  see(part: Buffer): void;
  end(): ReadonlyMap<string, Place>;
}

function createIndex(): Index {
  const places = new Map<string, Place>();
  let behind = 0;
  let last: Place | undefined;
  const reader = new TarReader((entry) => {
    last = addEntry(places, entry, behind);
    return 'drop';
  });
  return {
    take(block, place) {
      behind = place;
      reader.write(block);
      const length = reader.skippable;
      reader.skip();
      return length;
    },
    see(part) {
      if (last === undefined || 'target' in last) return;
      const { head = '', length } = last;
      const wanted = Math.min(HEAD, length) - head.length / 2;
      if (wanted > 0) last.head = head + part.toString('hex', 0, wanted);
    },
    end() {
      reader.end();
      return places;
    },
  };
}

function addEntry(
  places: Map<string, Place>,
  { type, name: written, link, size, claims }: TarEntry,
  start: number,
): Place | undefined {
  if (type === '5') return undefined;
  const name = posix.normalize(written);
  if (places.size === MOST_FILES) throw refuse(`it has more than ${MOST_FILES} files`);
  if (places.has(name)) throw refuse(`it has two files ${printable(name)}`);
  const place = placeOf();
  places.set(name, place);
  return place;

  function placeOf(): Place {
    if (type === '0' && claims === size) return { start, length: size };
    if (type === '2') return { target: posix.join(posix.dirname(name), link) };
    if (type === '1') return { target: posix.normalize(link) };
    throw refuse(`${printable(name)} is neither a plain file nor a link`);
  }
}

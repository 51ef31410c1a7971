// The files in a tar archive, found by reading its headers and stepping over its data: the archive is never
// unpacked. Symlinks and hard links between its files are followed, as old `docker save` made them for equal layers.
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { OperationError } from '../../errors.ts';
import { TarReader, type TarEntry } from '../read-tar.ts';
import { BLOCK, printable, refuse } from '../tar-header.ts';
import type { Files, SourceContext } from './files.ts';

const WINDOW = 64 * 1024;
const MOST_FILES = 20_000;
const MOST_LINKS = 8;
const COMPRESSED: Readonly<Record<string, string>> = {
  '1f8b': 'gunzip',
  fd37: 'unxz',
  '28b5': 'unzstd',
  '425a': 'bunzip2',
};

type Place = { readonly start: number; readonly length: number } | { readonly target: string };

export interface ArchiveFiles extends Files {
  /** Bytes; undefined when there is no such file. */
  sizeOf(name: string): number | undefined;
}

export async function openArchiveFiles(
  { host, archives, signal }: SourceContext,
  archive: string,
): Promise<ArchiveFiles> {
  const real = await host.realPath(archive);
  const status = real === undefined ? undefined : await host.status(real);
  if (real === undefined || status?.type !== 'file') {
    throw new OperationError(
      status === undefined ? 'there is no such file' : `it is a ${status.type}, not a file`,
      {
        hint:
          status?.type === 'directory'
            ? 'an OCI layout is oci:DIR, a folder of skopeo dir:DIR'
            : 'check the path',
      },
    );
  }
  const read = (offset: number): Promise<Buffer> => archives.read(real, offset, WINDOW);
  checkPlain(await read(0), archive);
  const places = await indexArchive(read, status.size, signal);
  const locate = (name: string): Extract<Place, { start: number }> | undefined => {
    let place = places.get(name);
    for (let links = 0; place !== undefined && 'target' in place; links++) {
      if (links === MOST_LINKS)
        throw new OperationError(`${printable(name)} is a link to a link without end`);
      place = places.get(place.target);
    }
    return place;
  };
  return {
    has: async (name) => locate(name) !== undefined,
    sizeOf: (name) => locate(name)?.length,
    open: async (name, aborted) => {
      const place = locate(name);
      if (place === undefined) throw new OperationError(`${printable(name)} is not in the archive`);
      if (place.start + place.length > status.size)
        throw new OperationError(`${printable(name)} is cut short: the archive ends before it`);
      return place.length === 0 ? Readable.from([]) : archives.openFile(real, { ...place, signal: aborted });
    },
  };
}

async function indexArchive(
  read: (offset: number) => Promise<Buffer>,
  size: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Place>> {
  const places = new Map<string, Place>();
  let behind = 0;
  const reader = new TarReader((entry) => {
    addEntry(places, entry, behind);
    return 'drop';
  });
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
    reader.write(block);
    behind += reader.skippable;
    reader.skip();
  }
  if (behind > size)
    throw refuse('it ends in the middle', 'the archive was cut short; make or fetch it again');
  reader.end();
  return places;
}

function addEntry(
  places: Map<string, Place>,
  { type, name: written, link, size, claims }: TarEntry,
  start: number,
): void {
  if (type === '5') return;
  const name = posix.normalize(written);
  if (places.size === MOST_FILES) throw refuse(`it has more than ${MOST_FILES} files`);
  if (places.has(name)) throw refuse(`it has two files ${printable(name)}`);
  if (type === '0' && claims === size) places.set(name, { start, length: size });
  else if (type === '2') places.set(name, { target: posix.join(posix.dirname(name), link) });
  else if (type === '1') places.set(name, { target: posix.normalize(link) });
  else throw refuse(`${printable(name)} is neither a plain file nor a link`);
}

function checkPlain(window: Buffer, archive: string): void {
  const program = COMPRESSED[window.toString('hex', 0, 2)];
  if (program === undefined) return;
  throw new OperationError('it is compressed, and its files can only be found in a plain archive', {
    hint: `unpack it to a plain one first: ${program} <${archive} >PLAIN.tar`,
  });
}

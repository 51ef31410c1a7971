// Files of a tar archive, found by reading its headers and stepping over its data: the archive is never unpacked. A
// compressed archive allows no steps: it is read through for its headers, and for each file up to that one. Symlinks
// and hard links between its files are followed, as old `docker save` made them for equal layers.
import { Readable } from 'node:stream';
import { OperationError } from '../../errors.ts';
import { printable } from '../tar-header.ts';
import type { Files, SourceContext } from './files.ts';
import { HEAD, indexArchive, indexStream, type Stretch } from './index-archive.ts';

const WINDOW = 64 * 1024;
const MOST_LINKS = 8;
const GZIP = '1f8b';
const COMPRESSED: Readonly<Record<string, string>> = {
  fd37: 'unxz',
  '28b5': 'unzstd',
  '425a': 'bunzip2',
};

export interface ArchiveFiles extends Files {
  /** Size in bytes; undefined when there is no such file. */
  sizeOf(name: string): number | undefined;
  /** First four bytes of a file, in hex. */
  headOf(name: string): Promise<string>;
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
  const read = (offset: number, length = WINDOW): Promise<Buffer> => archives.read(real, offset, length);
  const magic = (await read(0, HEAD)).toString('hex', 0, 2);
  const gunzip = magic === GZIP;
  const program = COMPRESSED[magic];
  if (program !== undefined)
    throw new OperationError(
      'it is compressed, and its files can only be found in a plain archive or one of gzip',
      {
        hint: `unpack it to a plain one first: ${program} <${archive} >PLAIN.tar`,
      },
    );
  const places = gunzip
    ? await indexStream(await archives.openFile(real, { gunzip, signal }), status.size, archives.limits)
    : await indexArchive(read, status.size, signal);
  const locate = (name: string): Stretch | undefined => {
    let place = places.get(name);
    for (let links = 0; place !== undefined && 'target' in place; links++) {
      if (links === MOST_LINKS)
        throw new OperationError(`${printable(name)} is a link to a link without end`);
      place = places.get(place.target);
    }
    return place;
  };
  const find = (name: string): Stretch => {
    const place = locate(name);
    if (place === undefined) throw new OperationError(`${printable(name)} is not in the archive`);
    if (!gunzip && place.start + place.length > status.size)
      throw new OperationError(`${printable(name)} is cut short: the archive ends before it`);
    return place;
  };
  return {
    has: async (name) => locate(name) !== undefined,
    sizeOf: (name) => locate(name)?.length,
    headOf: async (name) => {
      const { start, length, head } = find(name);
      return gunzip ? (head ?? '') : (await read(start, Math.min(length, HEAD))).toString('hex');
    },
    open: async (name, aborted) => {
      const { start, length } = find(name);
      return length === 0
        ? Readable.from([])
        : archives.openFile(real, { start, length, gunzip, signal: aborted });
    },
  };
}

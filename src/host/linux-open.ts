// Opens files whose names come from others: a layout or an archive that somebody else wrote.
import fs from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { OperationError } from '../errors.ts';
import type { OpenFileOptions } from './archives.ts';
import { except } from './linux-errno.ts';
import { describeFailure } from './linux-feed.ts';
import { O_PATH } from './linux-files.ts';
import { streamOf } from './stream-of.ts';

const CHUNK = 256 * 1024;

export async function openFile(file: string, options: OpenFileOptions): Promise<Readable> {
  const { within, start = 0, length, signal, gunzip = false } = options;
  // Loaded when needed, to keep the start of every other command short.
  const zlib = gunzip ? await import('node:zlib') : undefined;
  signal.throwIfAborted();
  const fd = openRegular(file, within === undefined ? undefined : fs.realpathSync.native(within));
  if (length === 0) {
    // An empty range needs no stream: the `end` of a read stream is its last byte, so it cannot express one.
    fs.closeSync(fd);
    return Readable.from([]);
  }
  if (zlib !== undefined) {
    const packed = fs.createReadStream(file, { fd, highWaterMark: CHUNK, signal });
    // pipeline destroys each stream with the other, and `unpacked` fails with the reason for its reader.
    const unpacked = pipeline(packed, zlib.createGunzip({ chunkSize: CHUNK }), () => undefined);
    const part = cut(unpacked, start, start + (length ?? Infinity), signal);
    return streamOf(part, () => unpacked.destroy());
  }
  return fs.createReadStream(file, {
    fd,
    start,
    ...(length === undefined ? {} : { end: start + length - 1 }),
    highWaterMark: CHUNK,
    signal,
  });
}

/** The bytes of a stream from `start` up to, and without, `end`. */
async function* cut(
  unpacked: AsyncIterable<Buffer>,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  let at = 0;
  try {
    for await (const chunk of unpacked) {
      const part = chunk.subarray(Math.max(start - at, 0), Math.max(end - at, 0));
      if (part.length > 0) yield part;
      at += chunk.length;
      if (at >= end) return;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw describeFailure(error, 'cannot unpack');
  }
}

/**
 * Opens a regular file through an O_PATH handle, which holds the inode without opening it: the file that is checked is
 * the file that is read, even when somebody exchanges a symlink in between.
 */
function openRegular(file: string, within: string | undefined): number {
  const handle = except(() => fs.openSync(file, O_PATH), undefined, 'ENOENT', 'ENOTDIR');
  if (handle === undefined) throw new OperationError(`${file} does not exist`);
  try {
    if (!fs.fstatSync(handle).isFile()) throw new OperationError(`${file} is not a regular file`);
    const link = `/proc/self/fd/${handle}`;
    const real = fs.readlinkSync(link);
    if (within !== undefined && !real.startsWith(`${within}/`)) {
      throw new OperationError(`${file} leads to ${real}, outside of ${within}`, {
        hint: 'copy the folder with its symlinks resolved: cp -rL',
      });
    }
    return fs.openSync(link, fs.constants.O_RDONLY);
  } finally {
    fs.closeSync(handle);
  }
}

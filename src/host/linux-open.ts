// Opens files whose names come from others: a layout or an archive that somebody else wrote.
import fs from 'node:fs';
import { Readable } from 'node:stream';
import { OperationError } from '../errors.ts';
import type { OpenFileOptions } from './archives.ts';
import { except } from './linux-errno.ts';
import { O_PATH } from './linux-files.ts';

const CHUNK = 256 * 1024;

export async function openFile(file: string, options: OpenFileOptions): Promise<Readable> {
  const { within, start = 0, length, signal } = options;
  signal.throwIfAborted();
  const fd = openRegular(file, within === undefined ? undefined : fs.realpathSync.native(within));
  if (length === 0) {
    // The `end` of a read stream is its last byte: no bytes at all cannot be said.
    fs.closeSync(fd);
    return Readable.from([]);
  }
  return fs.createReadStream(file, {
    fd,
    start,
    ...(length === undefined ? {} : { end: start + length - 1 }),
    highWaterMark: CHUNK,
    signal,
  });
}

/**
 * O_PATH takes hold of what is there without opening it: what is judged is what is read, even when somebody
 * exchanges a symlink in between.
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

// Pipes as input: a fifo, or a nameless pipe below /dev/fd. Each can be read only once.
import fs from 'node:fs';
import type { Readable } from 'node:stream';

/** Opens in the thread pool, because open(2) of a fifo waits until somebody writes to it. */
export function openPipe(path: string): Readable {
  return fs.createReadStream(path);
}

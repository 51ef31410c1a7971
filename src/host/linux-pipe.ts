// A fifo, or a pipe that has no name but below /dev/fd: what can be read once only.
import fs from 'node:fs';
import type { Readable } from 'node:stream';

/** Opened in the background: of a fifo that waits until somebody writes to it. */
export function openPipe(path: string): Readable {
  return fs.createReadStream(path);
}

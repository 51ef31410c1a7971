// Pipes as input: a fifo, or a nameless pipe below /dev/fd. Each can be read only once.
import fs from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';

const { O_RDONLY, O_NONBLOCK } = fs.constants;

/**
 * What nobody writes to yet is waited for by epoll, which can be given up; open(2) would block a thread that Node waits
 * for at its end. Before the first writer a fifo opened so has neither data nor an end (fs/pipe.c, fifo_open).
 */
export function openPipe(path: string): Readable {
  const fd = fs.openSync(path, O_RDONLY | O_NONBLOCK);
  if (!fs.fstatSync(fd).isFIFO()) return fs.createReadStream(path, { fd });
  return new Socket({ fd, readable: true, writable: false });
}

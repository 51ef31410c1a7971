// A stream of what a generator gives.
import { Readable } from 'node:stream';

const CHUNK = 256 * 1024;

/**
 * Not Readable.from: destroyed while it waits for a chunk, that would wait on.
 *
 * @param close called once, when nobody reads any more: at the end, and before it with what the stream was destroyed
 *   for. It has to make the generator stop waiting.
 */
export function streamOf(
  chunks: AsyncGenerator<Buffer, void>,
  close: (error: Error | null) => void,
): Readable {
  return new Readable({
    highWaterMark: CHUNK,
    read() {
      chunks.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error as Error),
      );
    },
    destroy(error, done) {
      close(error);
      done(error);
    },
  });
}

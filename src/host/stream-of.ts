// Readable streams from generators.
import { Readable } from 'node:stream';

const CHUNK = 256 * 1024;

/**
 * Stream of a generator's chunks. Not by Readable.from: destroyed while it waits for a chunk, it would wait on.
 *
 * @param close is called once, at the end of the stream or when it is destroyed, with the reason if there is one. It
 *   has to make the generator stop waiting.
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

// Reads a stream no faster than its chunks can be passed on: the kernel makes the writer wait meanwhile.
import type { Readable } from 'node:stream';

/** Gives `take` one chunk after the other. Resolves when the last is taken, or when the stream has been destroyed. */
export async function takeInTurn(stream: Readable, take: (chunk: Buffer) => Promise<unknown>): Promise<void> {
  try {
    for await (const chunk of stream) await take(chunk as Buffer);
  } catch (error) {
    // The caller has destroyed the stream and wants no more of it.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

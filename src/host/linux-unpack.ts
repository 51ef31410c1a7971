// Streams archives and trees into folders: read, hash, decompress, inspect, GNU tar. The caller removes what a failure
// leaves in the folder.
import fs from 'node:fs';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createHash } from '../crypto.ts';
import { OperationError } from '../errors.ts';
import type { Archives, Compression, Content, HashName, TarInspector, UnpackOptions } from './archives.ts';
import { CHUNK, DAMAGED, feed, sink, tap, together } from './linux-feed.ts';
import { startDecompressing, startPacking, startUnpacking } from './linux-tar.ts';

const MAGIC_BYTES = 6;
const MAGIC: readonly (readonly [Compression, string])[] = [
  ['gzip', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
];

export async function unpack(archive: string, directory: string, options: UnpackOptions): Promise<Content> {
  const file = await fs.promises.open(archive, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new OperationError(`${archive} is not a regular file`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
    const head = buffer.subarray(0, bytesRead);
    refuseForeign(archive, head);
    const compression = detect(head);
    const source = file.createReadStream({ start: 0, highWaterMark: CHUNK, autoClose: false });
    const meter = createMeter('sha256', options.passed);
    await unpackThrough(source, [meter.stage], compression, directory, meter.size, options);
    return { sha256: meter.digest(), size: meter.size() };
  } finally {
    await file.close();
  }
}

export const unpackStream: Archives['unpackStream'] = async (source, directory, options) => {
  const { compression, size, hashes, passed } = options;
  const meter = createMeter(hashes.stored, passed);
  // Without compression both hashes are of the same bytes.
  const same = compression === 'none' && hashes.content === hashes.stored;
  const content = same ? undefined : createHash(hashes.content);
  const inspector: TarInspector =
    content === undefined
      ? options.inspector
      : {
          write(chunk, compressed) {
            content.update(chunk);
            return options.inspector.write(chunk, compressed);
          },
          end: () => options.inspector.end(),
        };
  const stages = [guard(compression, size), meter.stage];
  await unpackThrough(source, stages, compression, directory, meter.size, { ...options, inspector });
  const stored = meter.digest();
  return { stored, content: content?.digest('hex') ?? stored };
};

async function unpackThrough(
  source: Readable,
  stages: readonly Transform[],
  compression: Compression,
  directory: string,
  compressed: () => number,
  { inspector, signal: interrupt }: UnpackOptions,
): Promise<void> {
  const inspect = inspection(inspector, compressed);
  await feed(interrupt, 'cannot unpack', async (signal, start) => {
    const tar = start(startUnpacking(directory));
    if (compression === 'none') return pipeline([source, ...stages, inspect, sink(tar)], { signal });
    if (compression === 'gzip') {
      // Loaded when needed, to keep the start of every other command short.
      const { createGunzip } = await import('node:zlib');
      const gunzip = createGunzip({ chunkSize: CHUNK });
      return pipeline([source, ...stages, gunzip, inspect, sink(tar)], { signal });
    }
    const decompressor = start(startDecompressing(compression));
    return together(signal, [
      (either) => pipeline([source, ...stages, sink(decompressor)], { signal: either }),
      (either) => pipeline([decompressor.stdout, inspect, sink(tar)], { signal: either }),
    ]);
  });
}

/** Stage that hashes and counts the bytes passing through, and reports progress. */
function createMeter(
  algorithm: HashName,
  passed: (done: number) => void,
): { readonly stage: Transform; size(): number; digest(): string } {
  const hash = createHash(algorithm);
  const report = throttle(passed, 100);
  let size = 0;
  const stage = tap((chunk) => {
    hash.update(chunk);
    size += chunk.length;
    report(() => size);
  });
  return { stage, size: () => size, digest: () => hash.digest('hex') };
}

/** Stage that refuses a stream whose length or compression is not the stated one, as early as that can be seen. */
function guard(compression: Compression, size: number): Transform {
  let seen = 0;
  let head = Buffer.alloc(0);
  const checkHead = (): void => {
    const found = detect(head);
    if (found === compression) return;
    throw new OperationError(`it is said to be compressed with ${compression}, but is with ${found}`, {
      hint: 'the image was written by a tool that mislabels its layers; write it again, for example with skopeo',
    });
  };
  return new Transform({
    highWaterMark: CHUNK,
    transform(chunk: Buffer, _encoding, done) {
      try {
        seen += chunk.length;
        if (seen > size) throw wrongSize(`more than the ${size}`);
        if (head.length < MAGIC_BYTES) {
          head = Buffer.concat([head, chunk.subarray(0, MAGIC_BYTES - head.length)]);
          if (head.length === MAGIC_BYTES) checkHead();
        }
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      try {
        if (seen < size) throw wrongSize(`${seen} of the ${size}`);
        if (head.length < MAGIC_BYTES) checkHead();
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

function wrongSize(found: string): OperationError {
  return new OperationError(`it has ${found} bytes it should have`, { hint: DAMAGED });
}

export const copy: Archives['copy'] = async (source, directory, options) => {
  const { root, names } = source;
  const report = throttle(options.progress, 500);
  let size = 0;
  const inspect = inspection(options.inspector, () => {
    report(() => `copied ${megabytes(size)}`);
    return size;
  });
  const count = tap((chunk) => (size += chunk.length));
  await feed(options.signal, `cannot copy ${root}`, (signal, start) => {
    const packer = start(startPacking(source));
    const tar = start(startUnpacking(directory));
    packer.stdin.end(names.map((name) => `${name}\0`).join(''));
    return pipeline(packer.stdout, count, inspect, sink(tar), { signal });
  });
};

export const digest: Archives['digest'] = async (root, signal) => {
  const hash = createHash('sha256');
  await feed(signal, `cannot read ${root}`, (either, start) => {
    const packer = start(startPacking({ root, names: ['.'], recursive: true }, 'timeless'));
    packer.stdin.end('.\0');
    const take = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) hash.update(chunk);
    };
    return pipeline(packer.stdout, take, { signal: either });
  });
  return hash.digest('hex');
};

function detect(head: Buffer): Compression {
  const start = head.toString('hex');
  return MAGIC.find(([, magic]) => start.startsWith(magic))?.[0] ?? 'none';
}

/** Formats that nothing here unpacks: named in the error, which helps more than calling the archive damaged. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['bzip2', '425a68'],
  ['lzip', '4c5a4950'],
  ['lz4', '04224d18'],
  ['zip', '504b0304'],
  ['7z', '377abcaf271c'],
];

function refuseForeign(archive: string, head: Buffer): void {
  const found = FOREIGN.find(([, magic]) => head.toString('hex').startsWith(magic))?.[0];
  if (found === undefined) return;
  throw new OperationError(
    `${archive} is in ${found}, not a tar archive or one compressed with gzip, zstd or xz`,
    {
      hint: 'unpack it, and pack it again with: tar -czf',
    },
  );
}

function inspection(inspector: TarInspector, compressed: () => number): Transform {
  return new Transform({
    readableHighWaterMark: CHUNK,
    writableHighWaterMark: CHUNK,
    transform(chunk: Buffer, _encoding, done) {
      try {
        const parts = inspector.write(chunk, compressed());
        // One chunk, because each would be a system call of its own.
        done(null, parts.length === 1 ? parts[0] : Buffer.concat(parts));
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      try {
        done(null, Buffer.concat(inspector.end()));
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

/** Calls `say` with the value of the moment, at most once in `milliseconds`; calls in between are dropped. */
export function throttle<T>(say: (what: T) => void, milliseconds: number): (what: () => T) => void {
  let next = performance.now() + milliseconds;
  return (what) => {
    const now = performance.now();
    if (now < next) return;
    next = now + milliseconds;
    say(what());
  };
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

// Streams archives and trees into folders: read, hash, decompress, inspect, GNU tar. Decides which of
// several failures is the one to report; cleaning the folder is the caller's.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { Transform, type Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OperationError, type FailedCommand } from '../errors.ts';
import type { Archives, Content, TarInspector, UnpackOptions } from './archives.ts';
import { isDiskFull, startDecompressing, startPacking, startUnpacking, type Filter } from './linux-tar.ts';

const CHUNK = 256 * 1024;
const DAMAGED = 'the archive is damaged or was cut short; fetch it again';

type Compression = 'none' | 'gzip' | 'xz' | 'zstd';

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
    const compression = await detect(file);
    const hash = createHash('sha256');
    let size = 0;
    const report = throttle(options.progress);
    const measure = tap((chunk) => {
      hash.update(chunk);
      size += chunk.length;
      report(() => `unpacked ${megabytes(size)} of ${megabytes(status.size)}`);
    });
    const source = file.createReadStream({ start: 0, highWaterMark: CHUNK, autoClose: false });
    const filters: Filter[] = [];
    const tar = startUnpacking(directory);
    filters.push(tar);
    const inspect = inspection(options.inspector, () => size);
    const { signal } = options;
    let decompressor: Filter | undefined;
    let feeding: Promise<unknown>;
    if (compression === 'none') feeding = pipeline(source, measure, inspect, tar.stdin, { signal });
    else if (compression === 'gzip') {
      // Loaded when needed, to keep the start of every other command short.
      const { createGunzip } = await import('node:zlib');
      feeding = pipeline(source, measure, createGunzip({ chunkSize: CHUNK }), inspect, tar.stdin, { signal });
    } else {
      decompressor = startDecompressing(compression);
      filters.push(decompressor);
      feeding = throughProcess(source, measure, decompressor, inspect, tar.stdin, signal);
    }
    await finish(feeding, filters, signal, 'cannot unpack');
    return { sha256: hash.digest('hex'), size };
  } finally {
    await file.close();
  }
}

export const copy: Archives['copy'] = async ({ root, names, recursive }, directory, options) => {
  const packer = startPacking(root, recursive);
  const tar = startUnpacking(directory);
  const report = throttle(options.progress);
  let size = 0;
  const inspect = inspection(options.inspector, () => {
    report(() => `copied ${megabytes(size)}`);
    return size;
  });
  const count = tap((chunk) => (size += chunk.length));
  packer.stdin.end(names.map((name) => `${name}\0`).join(''));
  const feeding = pipeline(packer.stdout, count, inspect, tar.stdin, { signal: options.signal });
  await finish(feeding, [packer, tar], options.signal, `cannot copy ${root}`);
};

async function throughProcess(
  source: Readable,
  measure: Transform,
  filter: Filter,
  inspect: Transform,
  sink: Writable,
  signal: AbortSignal,
): Promise<void> {
  const both = new AbortController();
  const either = AbortSignal.any([signal, both.signal]);
  // One half that fails ends the other.
  const halves = [
    pipeline(source, measure, filter.stdin, { signal: either }),
    pipeline(filter.stdout, inspect, sink, { signal: either }),
  ].map((half) =>
    half.catch((error: unknown) => {
      both.abort(error);
      throw error;
    }),
  );
  const settled = await Promise.allSettled(halves);
  const failures = settled.flatMap((half) => (half.status === 'rejected' ? [half.reason as unknown] : []));
  if (failures.length > 0) throw failures.find((error) => error instanceof OperationError) ?? failures[0];
}

/** Waits for all processes, then throws the failure that explains the others. */
async function finish(
  feeding: Promise<unknown>,
  filters: readonly Filter[],
  signal: AbortSignal,
  what: string,
): Promise<void> {
  let failure: unknown;
  await feeding.catch((error: unknown) => {
    failure = error ?? new OperationError(what);
  });
  // A process whose pipe broke ends by itself and says why; the others are stopped.
  const broken = isBrokenPipe(failure);
  if (failure !== undefined && !broken) for (const filter of filters) filter.stop();
  const ended = await Promise.all(filters.map((filter) => filter.ended));
  signal.throwIfAborted();
  if (failure instanceof OperationError) throw failure;
  const full = ended.find((command) => isDiskFull(command.stderr));
  if (full !== undefined) {
    throw new OperationError(`${what}: no space left on the disk`, {
      command: full,
      hint: 'free some space (runspec image gc removes unused layers), or choose another place with --data-dir',
    });
  }
  if (failure !== undefined && !broken) throw describeFailure(failure, what);
  const failed = ended.find((command) => command.status !== 0);
  if (failed !== undefined) throw describeCommand(failed, what);
  if (failure !== undefined) throw describeFailure(failure, what);
}

function describeCommand(command: FailedCommand, what: string): OperationError {
  const program = command.argv[0] ?? '';
  const reason =
    command.stderr.split('\n').find((line) => !line.endsWith('exiting now')) ?? `${program} failed`;
  const hint = program === 'tar' ? undefined : DAMAGED;
  return new OperationError(`${what}: ${reason}`, { command, hint });
}

function describeFailure(failure: unknown, what: string): unknown {
  if (!(failure instanceof Error)) return failure;
  const code = 'code' in failure && typeof failure.code === 'string' ? failure.code : '';
  // zlib's codes, as in Z_DATA_ERROR and Z_BUF_ERROR (unexpected end of file).
  const hint = code.startsWith('Z_') ? DAMAGED : undefined;
  return new OperationError(`${what}: ${failure.message}`, { cause: failure, hint });
}

function isBrokenPipe(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET'].includes(String(error.code))
  );
}

async function detect(file: fs.promises.FileHandle): Promise<Compression> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(6), 0, 6, 0);
  const start = buffer.subarray(0, bytesRead).toString('hex');
  return MAGIC.find(([, magic]) => start.startsWith(magic))?.[0] ?? 'none';
}

function inspection(inspector: TarInspector, compressed: () => number): Transform {
  return new Transform({
    readableHighWaterMark: CHUNK,
    writableHighWaterMark: CHUNK,
    transform(chunk: Buffer, _encoding, done) {
      try {
        inspector.write(chunk, compressed());
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      try {
        inspector.end();
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

function tap(see: (chunk: Buffer) => void): Transform {
  return new Transform({
    highWaterMark: CHUNK,
    transform(chunk: Buffer, _encoding, done) {
      see(chunk);
      done(null, chunk);
    },
  });
}

/** Twice a second at most. */
export function throttle(progress: (text: string) => void): (text: () => string) => void {
  let next = performance.now() + 500;
  return (text) => {
    const now = performance.now();
    if (now < next) return;
    next = now + 500;
    progress(text());
  };
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

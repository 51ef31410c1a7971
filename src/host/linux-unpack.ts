// Streams archives and trees into folders: read, hash, decompress, inspect, GNU tar. Decides which of
// several failures is the one to report; cleaning the folder is the caller's.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { Transform, Writable } from 'node:stream';
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
    const inspect = inspection(options.inspector, () => size);
    await feed(options.signal, 'cannot unpack', async (signal, start) => {
      const tar = start(startUnpacking(directory));
      if (compression === 'none') return pipeline(source, measure, inspect, sink(tar), { signal });
      if (compression === 'gzip') {
        // Loaded when needed, to keep the start of every other command short.
        const { createGunzip } = await import('node:zlib');
        const gunzip = createGunzip({ chunkSize: CHUNK });
        return pipeline(source, measure, gunzip, inspect, sink(tar), { signal });
      }
      const decompressor = start(startDecompressing(compression));
      return together(signal, [
        (either) => pipeline(source, measure, sink(decompressor), { signal: either }),
        (either) => pipeline(decompressor.stdout, inspect, sink(tar), { signal: either }),
      ]);
    });
    return { sha256: hash.digest('hex'), size };
  } finally {
    await file.close();
  }
}

export const copy: Archives['copy'] = async ({ root, names, recursive }, directory, options) => {
  const report = throttle(options.progress);
  let size = 0;
  const inspect = inspection(options.inspector, () => {
    report(() => `copied ${megabytes(size)}`);
    return size;
  });
  const count = tap((chunk) => (size += chunk.length));
  await feed(options.signal, `cannot copy ${root}`, (signal, start) => {
    const packer = start(startPacking(root, recursive));
    const tar = start(startUnpacking(directory));
    packer.stdin.end(names.map((name) => `${name}\0`).join(''));
    return pipeline(packer.stdout, count, inspect, sink(tar), { signal });
  });
};

/** Runs pipelines side by side; one that fails ends the others. */
async function together(
  signal: AbortSignal,
  parts: readonly ((signal: AbortSignal) => Promise<unknown>)[],
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const settled = await Promise.allSettled(
    parts.map((part) =>
      part(either).catch((error: unknown) => {
        failed.abort(error);
        throw error;
      }),
    ),
  );
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failures.length > 0) throw failures.find((error) => error instanceof OperationError) ?? failures[0];
}

/**
 * Takes bytes for a process for as long as it reads. GNU tar ends at the end-of-archive mark, perhaps before the
 * padding behind it was written; what it leaves must be read and inspected all the same.
 */
function sink(filter: Filter): Writable {
  const { stdin } = filter;
  return new Writable({
    highWaterMark: CHUNK,
    write(chunk: Buffer, _encoding, done) {
      if (stdin.destroyed) done();
      else stdin.write(chunk, () => done());
    },
    final(done) {
      if (stdin.destroyed) done();
      else stdin.end(() => done());
    },
    destroy(error, done) {
      stdin.destroy();
      done(error);
    },
  });
}

/** Runs what moves the bytes and waits for all processes, then throws the failure that explains the others. */
async function feed(
  interrupt: AbortSignal,
  what: string,
  move: (signal: AbortSignal, start: (filter: Filter) => Filter) => Promise<unknown>,
): Promise<void> {
  const filters: Filter[] = [];
  const processFailed = new AbortController();
  const start = (filter: Filter): Filter => {
    filters.push(filter);
    const stop = (): void => processFailed.abort();
    filter.ended.then(({ status }) => (status === 0 ? undefined : stop()), stop);
    return filter;
  };
  let failure: unknown;
  try {
    await move(AbortSignal.any([interrupt, processFailed.signal]), start);
  } catch (error) {
    failure = error;
    for (const filter of filters) filter.stop();
  }
  const ended = await Promise.all(filters.map((filter) => filter.ended));
  interrupt.throwIfAborted();
  if (failure instanceof OperationError) throw failure;
  const full = ended.find((command) => isDiskFull(command.stderr));
  if (full !== undefined) {
    throw new OperationError(`${what}: no space left on the disk`, {
      command: full,
      hint: 'free some space (runspec image gc removes unused layers), or choose another place with --data-dir',
    });
  }
  // Stopped because a process gave up: that one has a status and says why, the others were killed.
  const byProcess = failure instanceof Error && failure.name === 'AbortError';
  if (failure !== undefined && !byProcess) throw describeFailure(failure, what);
  const failed = ended.filter((command) => command.status !== 0);
  const cause = failed.find((command) => command.status !== undefined) ?? failed[0];
  if (cause !== undefined) throw describeCommand(cause, what);
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

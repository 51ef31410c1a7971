// Runs pipelines and the processes they feed to their end, and decides which of several failures is the one
// to report.
import { Transform, Writable } from 'node:stream';
import { OperationError, type FailedCommand } from '../errors.ts';
import { isDiskFull, type Filter } from './linux-tar.ts';

export const CHUNK = 256 * 1024;
export const DAMAGED = 'the archive is damaged or was cut short; fetch it again';

/** Runs pipelines side by side; one that fails ends the others. */
export async function together(
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
 * Writes to a process for as long as it reads. GNU tar ends at the end-of-archive mark, perhaps before the padding
 * behind it was written; what tar leaves must still be read and inspected.
 */
export function sink(filter: Filter): Writable {
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

/** Passes chunks on and shows each to `see`. */
export function tap(see: (chunk: Buffer) => void): Transform {
  return new Transform({
    highWaterMark: CHUNK,
    transform(chunk: Buffer, _encoding, done) {
      see(chunk);
      done(null, chunk);
    },
  });
}

/** Runs `move` and waits for all processes that it starts, then throws the failure that explains the others. */
export async function feed(
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
      hint: FULL,
    });
  }
  // AbortError: a process gave up. That process has a status and says why; the others were killed.
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
  const hint = program === 'xz' || program === 'zstd' ? DAMAGED : undefined;
  return new OperationError(`${what}: ${reason}`, { command, hint });
}

const FULL =
  'the disk is full; free some space (runspec image gc removes unused layers), or choose another place with --data-dir';

/** Error for people from the failure that ended a stream. */
export function describeFailure(failure: unknown, what: string): unknown {
  if (!(failure instanceof Error)) return failure;
  const code = 'code' in failure && typeof failure.code === 'string' ? failure.code : '';
  // zlib's codes, as in Z_DATA_ERROR and Z_BUF_ERROR (unexpected end of file).
  const hint = code.startsWith('Z_') ? DAMAGED : code === 'ENOSPC' || code === 'EDQUOT' ? FULL : undefined;
  return new OperationError(`${what}: ${failure.message}`, { cause: failure, hint });
}

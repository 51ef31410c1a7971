// Reading a container's log from its beginning, and on as it grows until the container has ended.
import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { takeInTurn } from '../host/take-in-turn.ts';
import { createLogParser, createTail, type LogPiece } from './log-lines.ts';

export interface ReadLogOptions {
  readonly follow: boolean;
  /** Only the last lines of what is there now. */
  readonly tail?: number;
  /** Stops following. */
  readonly signal: AbortSignal;
  /** Whether nothing more will be written; asked now and then while following. */
  hasEnded(): Promise<boolean>;
  /**
   * Called with each piece, and awaited before the next. Each character of its text is a byte that the process wrote.
   */
  onPiece(piece: LogPiece): Promise<void>;
}

const END_CHECK_MS = 100;

/** @throws OperationError when the reading ends before the log does. */
export async function readLog(host: Host, path: string, options: ReadLogOptions): Promise<void> {
  const { onPiece, signal } = options;
  const present = (await host.status(path))?.size;
  if (present === undefined) return;
  const parser = createLogParser();
  const tail = options.tail === undefined ? undefined : createTail(options.tail);
  let consumed = 0;
  const passOn = async (pieces: readonly LogPiece[]): Promise<void> => {
    for (const piece of pieces) if (!signal.aborted) await onPiece(piece);
  };
  const take = async (chunk: Buffer): Promise<void> => {
    const wasPresent = consumed < present;
    consumed += chunk.length;
    const pieces = parser.push(chunk.toString('latin1'));
    if (tail === undefined || !wasPresent) return passOn(pieces);
    for (const piece of pieces) tail.push(piece);
    if (consumed >= present) await passOn(tail.pieces());
  };
  // tail(1) reads in constant memory and is woken by the kernel when the file grows.
  const argv = ['tail', '-c', '+1', ...(options.follow ? ['-f'] : []), path];
  const child = host.spawn(argv, { stdio: ['null', 'pipe', 'null'] });
  const taken = takeInTurn(child.pipe(1), take);
  // A failure is thrown where `taken` is awaited, when tail has ended.
  taken.catch(() => undefined);
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const exit = { seen: false };
  void child.exited.then(() => (exit.seen = true));
  let isWhole = false;
  if (options.follow) {
    while (!signal.aborted && !exit.seen && !isWhole) {
      isWhole = await isOver(host, path, options, () => consumed);
      if (!isWhole) await host.sleep(END_CHECK_MS);
    }
    stop();
  }
  const ended = await child.exited;
  await taken;
  signal.removeEventListener('abort', stop);
  isWhole ||= options.follow ? await isOver(host, path, options, () => consumed) : ended.status === 0;
  if (isWhole || signal.aborted) return;
  const stderr = ended.signal === undefined ? '' : `tail was ended by ${ended.signal}\n`;
  throw commandError(`cannot read ${path} any further`, { argv, status: ended.status, stdout: '', stderr });
}

/** The end of a log, which may be as large as the disk; empty when there is no log. */
export async function readLogEnd(host: Host, path: string): Promise<string> {
  if ((await host.status(path)) === undefined) return '';
  return (await host.run(['tail', '-c', '16384', path])).stdout;
}

/** Whether the process has ended and all that it has written was read. */
async function isOver(
  host: Host,
  path: string,
  options: ReadLogOptions,
  consumed: () => number,
): Promise<boolean> {
  if (!(await options.hasEnded())) return false;
  return consumed() >= ((await host.status(path))?.size ?? 0);
}

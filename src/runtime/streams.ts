// Standard streams of a process in the foreground. A container gets pipes of runspec's own and never a descriptor of
// the caller: through /proc/self/fd its root opens the file or terminal behind one again, to read and to write,
// whatever it was opened for, and crun gives it to the container's user. Nor does it get /dev/null, which would be the
// host's.
import { type Readable, pipeline } from 'node:stream';
import { OperationError } from '../errors.ts';
import type { Child, Host, Stdio } from '../host/host.ts';
import { takeInTurn } from '../host/take-in-turn.ts';

export interface Streams {
  /** The input of the process; undefined when it gets none. */
  input(): Readable | undefined;
  /** Resolve when the chunk has been passed on, or nobody is there to take it. */
  stdout(chunk: Buffer): Promise<void>;
  stderr(chunk: Buffer): Promise<void>;
  /** Each fires when nobody reads the stream any more. */
  readonly unread: { readonly stdout: AbortSignal; readonly stderr: AbortSignal };
}

/** @param base begins the names of the pipes, which are gone once a process was started with them. */
export async function makePipes(host: Host, runtime: string, base: string): Promise<readonly Stdio[]> {
  // runc copies between these and pipes of its own.
  if (runtime === 'runc') return ['pipe', 'pipe', 'pipe'];
  const names = pipeNames(base);
  const { status, argv, stderr } = await host.run(['mkfifo', '-m', '600', ...names]);
  if (status === 0) return names.map((fifo) => ({ fifo }));
  throw new OperationError('cannot make the pipes of the process', { command: { argv, status, stderr } });
}

/** Removes the names of pipes when no process was started with them. */
export async function removePipes(host: Host, base: string): Promise<void> {
  await Promise.all(pipeNames(base).map((name) => host.removeFile(name)));
}

function pipeNames(base: string): readonly string[] {
  return ['in', 'out', 'err'].map((end) => `${base}.${end}`);
}

/** @param tell is called when not all of it could be read. */
export function passInput(child: Child, input: Readable | undefined, tell: (error: Error) => void): void {
  const sink = child.pipe(0);
  // A process that ends, or closes its input, need not read all of it.
  sink.on('error', ignore);
  if (input === undefined) {
    sink.destroy();
    return;
  }
  // The pipeline tells a failure of the sink to the input too.
  input.on('error', (error) => {
    if (!sink.destroyed) tell(error);
  });
  pipeline(input, sink, ignore);
  // An input that is a terminal, or a pipe that nothing comes from, would keep runspec from ending.
  void child.exited.then(() => input.destroy());
}

/** Gives `take` what comes, one chunk after the other, until nobody holds the other end or `unread` fires. */
export function passOutput(
  child: Child,
  fd: 1 | 2,
  unread: AbortSignal,
  take: (chunk: Buffer) => Promise<unknown>,
): Promise<void> {
  const stream = child.pipe(fd);
  // As in a pipeline without runspec, a process whose reader has gone is told so when it writes again.
  const hangUp = (): void => void stream.destroy();
  if (unread.aborted) hangUp();
  unread.addEventListener('abort', hangUp, { once: true });
  return takeInTurn(stream, take);
}

function ignore(): void {}

// argv to a command to an exit status. The only place that prints errors and ends the process.
import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { isatty } from 'node:tty';
import { InterruptedError, OperationError, UsageError } from './errors.ts';
import { wasCutShort } from './host/commands.ts';
import { closeLostTerminals, isInBackground, surviveLostTerminals } from './host/linux-terminals.ts';
import type { CommandContext } from './commands/context.ts';
import { workingDirectory } from './commands/working-directory.ts';
import type { Host } from './host/host.ts';
import type { Globals } from './commands/program.ts';

declare const RUNSPEC_VERSION: string;
declare const RUNSPEC_BUILD: string;

/** @param makeHost instead of the machine's own; the build has an apply rehearsed, that V8 compiles what it needs. */
export async function main(argv: readonly string[], makeHost?: () => Host): Promise<void> {
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    write('stdout', `${RUNSPEC_VERSION}\n`);
    return finish();
  }
  const { createProgram } = await import('./commands/program.ts');
  const { renderFailure } = await import('./commands/render-failure.ts');
  const interrupt = new AbortController();
  // As many as there are archives to read at once.
  setMaxListeners(0, interrupt.signal);
  // As many as there are processes to wait for at once.
  setMaxListeners(0, process);
  const wait: (NodeJS.Signals & ('SIGINT' | 'SIGTERM' | 'SIGHUP'))[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  // The first signal asks for a roll-back; further ones must not cut it short.
  for (const signal of wait) process.on(signal, () => interrupt.abort(signal));
  surviveLostTerminals();
  // Asked of the descriptor: process.stderr takes a millisecond to make, and often nobody needs it.
  let color = isatty(2) && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
  let json: 'events' | 'document' | undefined;
  // Node ends, and is content, when nothing is left that could wake up whoever still waits.
  process.exitCode = 1;
  const complain = (): void => write('stderr', 'error: ended before the work was done\n');
  process.once('beforeExit', complain);
  try {
    const program = createProgram(
      RUNSPEC_VERSION,
      async (globals) => {
        color = color && globals.color;
        if (globals.json) json = globals.events ? 'events' : 'document';
        return makeContext(globals, interrupt.signal, color, makeHost);
      },
      (text) => write('stdout', text),
    );
    process.exitCode = await program(argv);
  } catch (error) {
    const failure = asRefusal(asInterruption(error, interrupt.signal));
    const { lines, status } = renderFailure(failure, color);
    write('stderr', lines.map((line) => `${line}\n`).join(''));
    json ??= askedFor(argv);
    if (json !== undefined) {
      const { failureEvent, failureDocument } = await import('./commands/failure-json.ts');
      write('stdout', json === 'events' ? failureEvent(failure, status) : failureDocument(failure, status));
    }
    process.exitCode = status;
  }
  await host?.close();
  await finish();
  process.off('beforeExit', complain);
  closeLostTerminals();
}

/** By arguments that the parser has refused. */
function askedFor(argv: readonly string[]): 'events' | 'document' | undefined {
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  if (!own.includes('--json')) return undefined;
  return own.some((word) => EVENT_COMMANDS.includes(word)) ? 'events' : 'document';
}

const EVENT_COMMANDS = ['apply', 'down', 'run'];

/**
 * What stops at a signal before anything was changed throws the signal itself, an error that it caused, or that of a
 * program that only read and was sent the same signal.
 */
function asInterruption(error: unknown, { aborted, reason }: AbortSignal): unknown {
  const cause = error instanceof Error ? error.cause : error;
  const isReader = error instanceof OperationError && error.step === undefined && wasCutShort(error);
  return aborted && (cause === reason || isReader)
    ? new InterruptedError(reason as InterruptedError['signal'])
    : error;
}

/** What of the host is root's alone. */
function asRefusal(error: unknown): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  if (process.geteuid?.() === 0 || (code !== 'EACCES' && code !== 'EPERM')) return error;
  return new UsageError(`no permission for ${path ?? 'that'}`, 'this needs root: run it with sudo');
}

let host: Host | undefined;

async function makeContext(
  globals: Globals,
  signal: AbortSignal,
  color: boolean,
  makeHost?: () => Host,
): Promise<CommandContext> {
  const [{ createLinuxHost }, { createLinuxArchives }, { resolvePlace }] = await Promise.all([
    import('./host/linux.ts'),
    import('./host/linux-archives.ts'),
    import('./commands/resolve-place.ts'),
  ]);
  host = (makeHost ?? createLinuxHost)();
  const [stateDir, dataDir] = await Promise.all([
    resolvePlace(host, globals.stateDir),
    resolvePlace(host, globals.dataDir),
  ]);
  const { archiveLimits } = globals;
  const limits =
    archiveLimits === undefined
      ? undefined
      : (await import('./commands/parse-limits.ts')).parseLimits(archiveLimits);
  const stderr = (line: string): void => write('stderr', `${line}\n`);
  return {
    ...globals,
    stateDir,
    dataDir,
    host,
    archives: createLinuxArchives(limits),
    packing: async () => (await import('./host/linux-packing.ts')).createLinuxPacking(),
    isRoot: process.geteuid?.() === 0,
    build: RUNSPEC_BUILD,
    environment: process.env as Readonly<Record<string, string>>,
    self: [process.execPath, ...process.execArgv, ...process.argv.slice(1, 2)],
    workingDirectory: workingDirectory(),
    color,
    colorOfData: color && isatty(1),
    signal,
    onSignal,
    stdout: (text) => write('stdout', text),
    stderr,
    stdoutBytes: (chunk) => pass('stdout', chunk),
    stderrBytes: (chunk) => pass('stderr', chunk),
    unread: { stdout: unread.stdout.signal, stderr: unread.stderr.signal },
    // None, or 0, when the terminal is gone or does not know.
    columns: () => streamOf('stderr')?.columns || 80,
    // Not by process.stdin, whose streams take 2 ms to load.
    stdinIsTerminal: isatty(0),
    consoleSize: () => {
      const { rows, columns } = [streamOf('stdout'), streamOf('stderr')].find((one) => one?.isTTY) ?? {};
      return rows && columns ? { height: rows, width: columns } : undefined;
    },
    // In the background of a shell the first read of its terminal would stop this process (SIGTTIN).
    input: () => (isatty(0) && isInBackground() ? undefined : process.stdin),
    stdin: () => readAll(process.stdin, signal),
    pipe: async (path) => readAll((await import('./host/linux-pipe.ts')).openPipe(path), signal),
  };
}

// Without a listener of ours SIGUSR1 starts Node's debugger.
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

function onSignal(listener: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of FORWARDED) process.on(signal, listener);
  return () => {
    for (const signal of FORWARDED) process.off(signal, listener);
  };
}

async function readAll(stream: Readable, signal: AbortSignal): Promise<Uint8Array> {
  const { addAbortSignal } = await import('node:stream');
  const chunks: Buffer[] = [];
  // Whoever waits for it by mistake can end it with Ctrl-C.
  for await (const chunk of addAbortSignal(signal, stream)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

type Output = 'stdout' | 'stderr';

const written = new Map<Output, NodeJS.WriteStream | undefined>();
/** Why data did not get where it should: a full disk, say. */
let lost: Error | undefined;
const unread = { stdout: new AbortController(), stderr: new AbortController() };

/**
 * A terminal that was closed (EIO) or a reader that has had enough (EPIPE) must not end what is under way: the
 * signal that comes with it asks for that, and then it is rolled back. Nobody is left to be told of it.
 */
function open(output: Output): NodeJS.WriteStream | undefined {
  // A terminal that is gone already cannot even be opened.
  const stream = process[output] as NodeJS.WriteStream | undefined;
  return stream?.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') unread[output].abort();
    else if (output === 'stdout' && error.code !== 'EIO') lost ??= error;
  });
}

function streamOf(output: Output): NodeJS.WriteStream | undefined {
  if (!written.has(output)) written.set(output, open(output));
  return written.get(output);
}

function write(output: Output, text: string): void {
  streamOf(output)?.write(text);
}

/** Node calls back for every write, one that fails included. */
function pass(output: Output, chunk: Uint8Array): Promise<void> {
  const stream = streamOf(output);
  return new Promise((resolve) => {
    if (stream === undefined) resolve();
    else stream.write(chunk, () => resolve());
  });
}

/** Until all is written; what could not be is told of. */
async function finish(): Promise<void> {
  await flush();
  if (lost === undefined || (process.exitCode ?? 0) !== 0) return;
  write('stderr', `error: what was to be written is lost: ${lost.message}\n`);
  process.exitCode = 1;
  await flush();
}

// process.exit would cut off what a pipe has not taken yet.
async function flush(): Promise<void> {
  const streams = [...written.values()].filter((stream) => stream !== undefined);
  // Nothing but a reader is waited for here, which may never read on.
  const stop = onSignal(() => streams.forEach((stream) => stream.destroy()));
  await Promise.all(streams.map((stream) => new Promise((resolve) => stream.write('', resolve))));
  stop();
}

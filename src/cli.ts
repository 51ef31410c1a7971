// argv to a command to an exit status. The only place that prints errors and ends the process.
import { isatty } from 'node:tty';
import type { CommandContext } from './commands/context.ts';
import type { Globals } from './commands/program.ts';

declare const RUNSPEC_VERSION: string;

const argv = process.argv.slice(2);

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  process.stdout.write(`${RUNSPEC_VERSION}\n`);
} else {
  void main();
}

async function main(): Promise<void> {
  const { createProgram } = await import('./commands/program.ts');
  const { renderFailure } = await import('./commands/render-failure.ts');
  const interrupt = new AbortController();
  const wait: (NodeJS.Signals & ('SIGINT' | 'SIGTERM' | 'SIGHUP'))[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  // The first signal asks for a roll-back; further ones must not cut it short.
  for (const signal of wait) process.on(signal, () => interrupt.abort(signal));
  // Asked of the descriptor: process.stderr takes a millisecond to make, and often nobody needs it.
  let color = isatty(2) && process.env['NO_COLOR'] === undefined;
  try {
    const program = createProgram(RUNSPEC_VERSION, async (globals) => {
      color = color && globals.color;
      return makeContext(globals, interrupt.signal, color);
    });
    process.exitCode = await program(argv);
  } catch (error) {
    const { lines, status } = renderFailure(error, color);
    write(process.stderr, lines.map((line) => `${line}\n`).join(''));
    process.exitCode = status;
  }
  // Nothing is left to do, whatever handle a library still holds.
  await flush();
  process.exit();
}

async function makeContext(globals: Globals, signal: AbortSignal, color: boolean): Promise<CommandContext> {
  const [{ createLinuxHost }, { createLinuxArchives }, { resolvePlace }] = await Promise.all([
    import('./host/linux.ts'),
    import('./host/linux-archives.ts'),
    import('./commands/resolve-place.ts'),
  ]);
  const host = createLinuxHost();
  const [stateDir, dataDir] = await Promise.all([
    resolvePlace(host, globals.stateDir),
    resolvePlace(host, globals.dataDir),
  ]);
  const stderr = (line: string): void => write(process.stderr, `${line}\n`);
  return {
    ...globals,
    stateDir,
    dataDir,
    host,
    archives: createLinuxArchives(),
    isRoot: process.geteuid?.() === 0,
    workingDirectory: process.cwd(),
    color,
    signal,
    onSignal,
    stdout: (text) => write(process.stdout, text),
    stderr,
    stdoutBytes: (chunk) => write(process.stdout, chunk),
    stderrBytes: (chunk) => write(process.stderr, chunk),
    // Not by process.stdin, whose streams take 2 ms to load.
    stdinIsTerminal: isatty(0),
    stdin: readStdin,
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

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

const written = new Set<NodeJS.WriteStream>();

function write(stream: NodeJS.WriteStream, chunk: string | Uint8Array): void {
  written.add(stream);
  stream.write(chunk);
}

// process.exit would cut off what a pipe has not taken yet.
async function flush(): Promise<void> {
  const drained = (stream: NodeJS.WriteStream): Promise<void> =>
    new Promise((resolve) => stream.write('', () => resolve()));
  await Promise.all([...written].map(drained));
}

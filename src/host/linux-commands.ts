// Other programs: runs, starts, finds and signals them. argv arrays only, never a shell.
// node:child_process and not execa: loading execa takes 13 ms even bundled, a third of a bare Node start.
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { OperationError } from '../errors.ts';
import type { Child, CommandResult, Host, RunOptions, SpawnOptions } from './host.ts';
import { except } from './linux-errno.ts';

const { O_RDONLY, O_RDWR, O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, X_OK } = fs.constants;
/** open(2) O_CLOEXEC as /proc/PID/fdinfo shows it; Node does not name it. */
const O_CLOEXEC = 0o2000000;

export type CommandCalls = Pick<Host, 'run' | 'spawn' | 'which' | 'kill'>;

export const linuxCommands: CommandCalls = {
  run,
  spawn: start,
  which: async (program) => findProgram(program),
  kill: async (pid, signal) => except(() => process.kill(pid, signal), false, 'ESRCH'),
};

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/**
 * PATH of the caller with the sbin sibling of each bin folder added: a user's PATH often lacks administration tools.
 */
export function searchPath(): string {
  const own = (process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  if (own.length === 0) return SYSTEM_FOLDERS.join(':');
  const siblings = SYSTEM_FOLDERS.filter((folder) => own.includes(folder.replace(/sbin$/, 'bin')));
  return [...new Set([...own, ...siblings])].join(':');
}

/**
 * Environment of a child: no variables of the caller's, as runc passes NOTIFY_SOCKET and LISTEN_FDS on and tar obeys
 * TAR_OPTIONS. LC_ALL=C because runspec reads some of the messages.
 */
export function childEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: searchPath(), LC_ALL: 'C', ...extra };
}

async function run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const [program, ...args] = nonEmpty(argv);
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // A new session keeps a Ctrl-C from the child: runspec itself decides to finish or undo what was begun.
    detached: true,
    env: childEnvironment(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  // A command that ends without reading its input breaks the pipe (EPIPE); its status already says why.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.stdin);
  const kill = (): void => {
    child.kill('SIGKILL');
    // Processes that the command started may live on and keep its pipes open.
    for (const stream of child.stdio) stream?.destroy();
  };
  options.signal?.addEventListener('abort', kill);
  const { status, note } = await ending(child, program);
  options.signal?.removeEventListener('abort', kill);
  options.signal?.throwIfAborted();
  return { argv, status, stdout: stdout(), stderr: stderr() + note };
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

/**
 * Waits for the end of the process and of its output; `note` tells of a failed start or a signal, as a status cannot.
 */
export function ending(
  child: ChildProcess,
  program: string,
): Promise<{ readonly status: number | undefined; readonly note: string }> {
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      // An error with a pid is not a failed start: the program runs, and `close` follows.
      if (child.pid !== undefined) return;
      // An empty note for ENOENT: commandError takes no status and no stderr for a program that is not installed.
      resolve({
        status: undefined,
        note: error.code === 'ENOENT' ? '' : `cannot start ${program}: ${error.message}\n`,
      });
    });
    child.once('close', (status, signal) => {
      if (child.pid === undefined) return;
      resolve({
        status: status ?? undefined,
        note: signal === null ? '' : `${program} was ended by ${signal}\n`,
      });
    });
  });
}

function start(argv: readonly string[], options: SpawnOptions): Child {
  const [program, ...args] = nonEmpty(argv);
  const opened: number[] = [];
  const ends = new Map<number, Duplex>();
  try {
    const stdio: (number | 'ignore' | 'inherit' | 'pipe')[] = options.stdio.map((wanted, number) => {
      if (typeof wanted === 'string') return wanted === 'null' ? 'ignore' : wanted;
      if ('fifo' in wanted) {
        const { theirs, ours } = openFifo(wanted.fifo, number === 0);
        opened.push(theirs);
        ends.set(number, ours);
        return theirs;
      }
      const fd = fs.openSync(wanted.append, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
      opened.push(fd);
      return fd;
    });
    const strangers = inheritedDescriptors().filter((fd) => fd >= stdio.length);
    if (strangers.length > 0) {
      const nothing = fs.openSync('/dev/null', O_RDWR);
      opened.push(nothing);
      for (let fd = stdio.length; fd <= Math.max(...strangers); fd += 1) {
        stdio.push(strangers.includes(fd) ? nothing : 'ignore');
      }
    }
    const child = spawn(program, args, {
      stdio,
      detached: options.detached ?? false,
      env: options.env ?? childEnvironment(),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    return describeChild(child, program, ends);
  } catch (error) {
    for (const end of ends.values()) end.destroy();
    throw error;
  } finally {
    for (const fd of opened) fs.closeSync(fd);
  }
}

/** Opens both ends of a named pipe and removes its name. */
function openFifo(file: string, isInput: boolean): { readonly theirs: number; readonly ours: Duplex } {
  // O_RDWR first: open(2) of one end alone would wait for the other.
  const both = fs.openSync(file, O_RDWR | O_NOFOLLOW);
  try {
    const reader = fs.openSync(file, O_RDONLY | O_NOFOLLOW);
    const writer = fs.openSync(file, O_WRONLY | O_NOFOLLOW);
    const [theirs, fd] = isInput ? [reader, writer] : [writer, reader];
    return { theirs, ours: new Socket({ fd, readable: !isInput, writable: isInput }) };
  } finally {
    fs.closeSync(both);
    fs.unlinkSync(file);
  }
}

/**
 * Descriptors above 2 that the program which started runspec left open for its children. Node marks only the low ones
 * close-on-exec; a container's monitor that inherits the others would keep a CI job's pipe open for ever.
 */
function inheritedDescriptors(): readonly number[] {
  const isInherited = (fd: number): boolean => {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '0', 8);
    return (flags & O_CLOEXEC) === 0;
  };
  return fs
    .readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2 && except(() => isInherited(fd), false, 'ENOENT'));
}

function describeChild(child: ChildProcess, program: string, ends: ReadonlyMap<number, Duplex>): Child {
  const exited = new Promise<Awaited<Child['exited']>>((resolve) => {
    child.once('exit', (status, signal) =>
      resolve({ status: status ?? undefined, signal: signal ?? undefined }),
    );
  });
  // Without a listener Node would throw the error event as an uncaught exception; the missing pid below reports it.
  child.on('error', () => undefined);
  const { pid } = child;
  if (pid === undefined) {
    throw new OperationError(`cannot start ${program}`, {
      hint: `check that ${program} is installed and executable`,
    });
  }
  return {
    pid,
    pipe: (fd) => ends.get(fd) ?? pipeOf(child, fd),
    exited,
    // The kernel does not reuse a pid before Node has reaped the child, and from then on child.kill sends nothing.
    kill: (signal) => child.kill(signal),
    release: () => {
      child.unref();
      for (const stream of child.stdio)
        if (stream !== null && stream !== undefined) (stream as Duplex & { unref?(): void }).unref?.();
    },
  };
}

function pipeOf(child: ChildProcess, fd: number): Duplex {
  const stream = (child.stdio as readonly unknown[])[fd];
  if (stream === null || stream === undefined)
    throw new OperationError(`descriptor ${fd} of process ${child.pid} is not a pipe`);
  // Node types descriptors 0, 1 and 2 as one-way streams; underneath, each is a socket of a pair.
  return stream as Duplex;
}

export function findProgram(program: string): string | undefined {
  const candidates = program.includes('/')
    ? [path.resolve(program)]
    : searchPath()
        .split(':')
        .map((folder) => path.join(folder, program));
  return candidates.find(isProgram);
}

function isProgram(file: string): boolean {
  // existsSync first: most folders of PATH lack the program, and thrown errors are slow.
  if (!fs.existsSync(file)) return false;
  const usable = (): boolean => {
    fs.accessSync(file, X_OK);
    return fs.statSync(file).isFile();
  };
  return except(usable, false, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP');
}

function nonEmpty(argv: readonly string[]): [string, ...string[]] {
  const [program, ...args] = argv;
  if (program === undefined) throw new OperationError('an empty command cannot be run');
  return [program, ...args];
}

// Running commands in tests: argv in, status and output out, never a throw for a status.
import { spawn } from 'node:child_process';

export interface Executed {
  readonly argv: readonly string[];
  /** Exit status; undefined when a signal ended the command. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecuteOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds, 60 s by default; then SIGKILL. */
  readonly timeout?: number;
}

/** What every command of a test sees, and nothing else of the developer's environment. */
export const TEST_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: [
    ...new Set([...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']),
  ].join(':'),
  HOME: process.env['HOME'] ?? '/root',
  LC_ALL: 'C',
};

/** How long after its end a command's output may stay open: what it left in the background must not hold it. */
const OUTPUT_GRACE_MS = 2_000;

export function execute(argv: readonly string[], options: ExecuteOptions = {}): Promise<Executed> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env: { ...TEST_ENVIRONMENT, ...options.env } });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk));
  }
  // A command need not read its input; the closed pipe is no news.
  child.stdin.on('error', () => undefined).end(options.stdin ?? '');
  return new Promise((resolve, reject) => {
    const give = (reason: string): void => {
      child.stdout.destroy();
      child.stderr.destroy();
      reject(new Error(`${reason}: ${argv.join(' ')}\n${text.stdout}${text.stderr}`));
    };
    const limit = options.timeout ?? 120_000;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      give(`still running after ${limit} ms`);
    }, limit);
    child.once('error', reject);
    child.once('exit', (status) => {
      clearTimeout(timer);
      const grace = setTimeout(
        () => give('it ended, but something it started holds its output'),
        OUTPUT_GRACE_MS,
      );
      child.once('close', () => {
        clearTimeout(grace);
        resolve({ argv, status: status ?? undefined, ...text });
      });
    });
  });
}

/** Standard output of a command that has to succeed. */
export async function output(argv: readonly string[], options: ExecuteOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await execute(argv, options);
  if (status !== 0) throw new Error(`status ${status} of ${argv.join(' ')}: ${stderr || stdout}`);
  return stdout;
}

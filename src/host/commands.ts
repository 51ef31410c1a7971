// Runs commands that have to succeed; failures become OperationErrors that carry the command and its stderr.
import { OperationError } from '../errors.ts';
import type { CommandResult, Host, RunOptions } from './host.ts';

/** Hints for known complaints on stderr: what a person should try. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /Operation not permitted|Permission denied|must be root/i,
    'run as root (sudo), with CAP_SYS_ADMIN and CAP_NET_ADMIN',
  ],
  [/No space left on device/i, 'the disk or a kernel table is full; free some space and apply again'],
  [/EMFILE|Too many open files/i, 'let runspec open more files: ulimit -n 1024'],
  [/Read-only file system/i, 'choose a writable place with --state-dir and --data-dir'],
  [
    /unknown filesystem type 'overlay'|unknown filesystem type "overlay"/i,
    'load the kernel module: modprobe overlay',
  ],
  [
    /Operation not supported|Unknown device type|RTNETLINK answers: Not supported/i,
    'the kernel lacks a module for this (veth, bridge, nf_tables)',
  ],
];

export function hintFor(stderr: string): string | undefined {
  return HINTS.find(([pattern]) => pattern.test(stderr))?.[1];
}

export function commandError(message: string, result: CommandResult): OperationError {
  const notFound = result.status === undefined && result.stderr === '';
  return new OperationError(message, {
    command: { argv: result.argv, status: result.status, stderr: result.stderr },
    hint: notFound ? `is ${result.argv[0] ?? 'it'} installed? see: runspec doctor` : hintFor(result.stderr),
  });
}

/**
 * Whether a signal from outside ended a program of ours, as when systemd stops a unit and signals all its processes.
 */
export function wasCutShort(error: unknown): boolean {
  if (!(error instanceof OperationError) || error.command === undefined) return false;
  return error.command.status === undefined && /^\S+ was ended by SIG/m.test(error.command.stderr);
}

const ATTEMPTS = 5;

/**
 * Repeats `work`, which must be safe to repeat, when a signal that was meant for runspec has ended one of its programs:
 * until a child has entered its own session, a Ctrl-C reaches it too.
 */
export async function despiteSignals<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!wasCutShort(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

/** @throws OperationError when the command's status is not 0. */
export async function runChecked(
  host: Host,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const result = await host.run(argv, options);
  if (result.status === 0) return result;
  // mount(8) ends every complaint with a pointer to dmesg(1), which explains nothing.
  const lines = result.stderr.split('\n').map((line) => line.trim());
  const reason = lines.findLast((line) => line !== '' && !line.startsWith('dmesg(1) may have more')) ?? '';
  throw commandError(`${argv[0] ?? 'command'} failed${reason === '' ? '' : `: ${reason}`}`, result);
}

// The terminals that this process was started with.
import fs from 'node:fs';
import { isatty } from 'node:tty';
import { except } from './linux-errno.ts';

/** Of standard input, output and error those that are terminals. */
export function listTerminals(): readonly number[] {
  return [0, 1, 2].filter((fd) => isatty(fd));
}

/**
 * Node opens the terminal of standard output or error when it is first asked for, and throws when that was closed before. It
 * asks itself whenever a pipe ends (Socket._destroy in lib/net.js), where nobody could catch that: amid an apply whose
 * ssh has gone. From here on there is none then.
 */
export function surviveLostTerminals(): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const open = Object.getOwnPropertyDescriptor(process, name)?.get;
    if (open === undefined) continue;
    const get = (): unknown => {
      try {
        return open.call(process);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ERR_TTY_INIT_FAILED') return undefined;
        throw error;
      }
    };
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get });
  }
}

/**
 * To be called last of all. At its end Node gives terminals the modes back that it found (ResetStdio in src/node.cc), and
 * ends with SIGABRT when it cannot, as of one that was closed meanwhile (EIO). Of a closed descriptor it does not ask that.
 */
export function closeLostTerminals(terminals: readonly number[]): void {
  for (const fd of terminals) if (!isatty(fd)) except(() => fs.closeSync(fd), undefined, 'EBADF');
}

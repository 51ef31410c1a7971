// The terminals that this process was started with.
import fs from 'node:fs';
import { isatty } from 'node:tty';
import { except } from './linux-errno.ts';

/**
 * Makes process.stdin, stdout and stderr undefined once their terminal is gone. Node opens the terminal of a standard
 * stream at its first use, and throws when the terminal was closed before. Node itself uses the stream whenever a pipe
 * ends (Socket._destroy in lib/net.js), where nobody could catch that: amid an apply whose ssh has gone.
 */
export function surviveLostTerminals(): void {
  for (const name of ['stdin', 'stdout', 'stderr'] as const) {
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

/** Whether the terminal that controls this process belongs to another process group now, as after `&` in a shell. */
export function isInBackground(): boolean {
  // proc(5): pgrp and tpgid are the fifth and eighth field, the third and sixth behind the name in parentheses.
  const stat = fs.readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const foreground = Number(fields[5]);
  return foreground > 0 && foreground !== Number(fields[2]);
}

/**
 * Closes descriptors 0, 1 and 2 whose terminal is gone; to be called last. At its end Node restores the modes of the
 * terminals it started with (ResetStdio in src/node.cc) and ends with SIGABRT when it cannot, as for a terminal that
 * was closed meanwhile (EIO). It skips closed descriptors.
 */
export function closeLostTerminals(): void {
  for (const fd of [0, 1, 2]) {
    const isDevice = except(() => fs.fstatSync(fd).isCharacterDevice(), false, 'EBADF');
    if (isDevice && !isatty(fd)) fs.closeSync(fd);
  }
}

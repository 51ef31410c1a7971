// The terminals that this process was started with.
import fs from 'node:fs';
import { isatty } from 'node:tty';
import { except } from './linux-errno.ts';

/**
 * Node opens the terminal of a standard stream when it is first asked for, and throws when that was closed before. It
 * asks itself whenever a pipe ends (Socket._destroy in lib/net.js), where nobody could catch that: amid an apply whose
 * ssh has gone. From here on there is none then.
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
 * To be called last of all. At its end Node gives the terminals of its start their modes back (ResetStdio in src/node.cc), and
 * ends with SIGABRT when it cannot, as of one that was closed meanwhile (EIO). Of a closed descriptor it does not ask that.
 */
export function closeLostTerminals(): void {
  for (const fd of [0, 1, 2]) {
    const isDevice = except(() => fs.fstatSync(fd).isCharacterDevice(), false, 'EBADF');
    if (isDevice && !isatty(fd)) fs.closeSync(fd);
  }
}

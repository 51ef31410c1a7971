// Reads below /proc and /sys, where a process, and its files, may end at any moment.
import { posix } from 'node:path';
import type { Host } from './host.ts';

/**
 * Errors that count as nothing there. ENOENT and ESRCH: the process has ended; EACCES: a kernel thread or a zombie;
 * ENAMETOOLONG: a link to a path that does not fit a page (do_proc_readlink in fs/proc/base.c), which anybody can make;
 * the rest: drivers that say no.
 */
const GONE = new Set([
  'ENOENT',
  'ENOTDIR',
  'ESRCH',
  'EACCES',
  'EPERM',
  'ENAMETOOLONG',
  'EINVAL',
  'EIO',
  'ENODEV',
  'EOPNOTSUPP',
  'ENOTSUP',
]);

export async function orNothing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

export function readLinkOrNothing(host: Host, path: string): Promise<string | undefined> {
  return orNothing(host.readLink(path));
}

export function readOrNothing(host: Host, path: string): Promise<string | undefined> {
  return orNothing(host.readText(path));
}

export async function listOrNothing(host: Host, path: string): Promise<readonly string[]> {
  return (await orNothing(host.list(path))) ?? [];
}

/**
 * Name of a process for people: its comm, as `ss` and `ps` show it, unless the command line does not have it, as the
 * name of a thread (`MainThread` of Node 24).
 */
export async function readProcessName(host: Host, pid: string): Promise<string | undefined> {
  const [comm, cmdline] = await Promise.all(
    ['comm', 'cmdline'].map((file) => readOrNothing(host, `/proc/${pid}/${file}`)),
  );
  const name = comm?.trim();
  const program = cmdline?.split('\0')[0] ?? '';
  if (name === undefined || program === '' || cmdline?.includes(name) === true) return name;
  return posix.basename(program);
}

/** All processes, as the names of their folders. */
export async function listPids(host: Host): Promise<readonly string[]> {
  return (await listOrNothing(host, '/proc')).filter((name) => /^\d+$/.test(name));
}

/** Decodes the octal escapes of mountinfo: space, tab, newline and backslash as three digits each. */
export function unescapeOctal(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

// Reading below /proc and /sys, where what is looked at may end at any moment.
import type { Host } from './host.ts';

/** ENOENT and ESRCH: it has ended; EACCES: a kernel thread or a zombie; the rest: drivers that say no. */
const GONE = new Set([
  'ENOENT',
  'ENOTDIR',
  'ESRCH',
  'EACCES',
  'EPERM',
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

/** All processes, as the names of their folders. */
export async function listPids(host: Host): Promise<readonly string[]> {
  return (await listOrNothing(host, '/proc')).filter((name) => /^\d+$/.test(name));
}

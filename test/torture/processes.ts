// Processes of a test host as the machine counts them: who there is, and the end of one.
import fs from 'node:fs';

/** All below `pid`, parents first. */
export function descendants(pid: number): readonly number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

export function commandOf(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

/** Gone, or dead and waiting for its parent to notice. */
export function hasEnded(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat === '' || stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

export function pidNamespace(pid: number): string {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/pid`);
  } catch (error) {
    return ignoreEnded(error);
  }
}

/** @returns false when it has ended before. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  if (hasEnded(Math.abs(pid))) return false;
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    return ignoreEnded(error);
  }
}

function ignoreEnded(error: unknown): string {
  if (error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH', 'EACCES'].includes(String(error.code)))
    return '';
  throw error;
}

// The folder that relative paths begin in.
import { UsageError } from '../errors.ts';

/** @throws UsageError when it was removed. */
export function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new UsageError('the working folder is gone', 'change to one that is there');
  }
}

/** Without a slash at its end. */
export function absolutePath(path: string): string {
  return path.startsWith('/')
    ? path.replace(/(?<=.)\/+$/, '')
    : `${workingDirectory()}/${path}`.replace(/\/+$/, '');
}

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

/** The absolute path, without a slash at its end. @throws UsageError when the path is empty. */
export function absolutePath(path: string): string {
  if (path === '') throw new UsageError('the name of a folder is empty', 'write . for the working folder');
  return path.startsWith('/')
    ? path.replace(/(?<=.)\/+$/, '')
    : `${workingDirectory()}/${path}`.replace(/\/+$/, '');
}

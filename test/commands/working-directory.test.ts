import { afterEach, expect, it, vi } from 'vitest';
import { absolutePath, workingDirectory } from '../../src/commands/working-directory.ts';
import { UsageError } from '../../src/errors.ts';

afterEach(() => void vi.restoreAllMocks());

it('is where relative paths begin', () => {
  vi.spyOn(process, 'cwd').mockReturnValue('/srv');
  expect(['data/', '/data//', '/'].map(absolutePath)).toEqual(['/srv/data', '/data', '/']);
});

it('is not meant by an empty text, as a variable that is not set gives it', () => {
  expect(() => absolutePath('')).toThrow(UsageError);
});

it('is missed with a word of what to do when it was removed', () => {
  vi.spyOn(process, 'cwd').mockImplementation(() => {
    throw Object.assign(new Error('ENOENT: no such file or directory, uv_cwd'), { code: 'ENOENT' });
  });
  expect(workingDirectory).toThrow(
    new UsageError('the working folder is gone', 'change to one that is there'),
  );
});

import { describe, expect, it } from 'vitest';
import { parseLimits } from '../../src/commands/parse-limits.ts';
import { UsageError } from '../../src/errors.ts';
import { ARCHIVE_LIMITS } from '../../src/host/archive-limits.ts';

describe('--archive-limits', () => {
  it.each([
    ['bytes=1G', { bytes: 2 ** 30 }],
    ['ratio=none', { ratio: Infinity }],
    ['bytes=none, entries=10,ratio=1000', { bytes: Infinity, entries: 10, ratio: 1000 }],
  ])('takes %s and keeps the other defaults', (text, wanted) => {
    expect(parseLimits(text)).toEqual({ ...ARCHIVE_LIMITS, ...wanted });
  });

  it.each([
    '',
    'bytes',
    'bytes=',
    'bytes=x',
    'entries=1.5',
    'entries=-1',
    'ratio=0',
    'files=1',
    'bytes=1G;ratio=2',
  ])('refuses %j', (text) => {
    expect(() => parseLimits(text)).toThrow(UsageError);
  });
});

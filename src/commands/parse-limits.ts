// Parses --archive-limits. Limits that are not named keep their defaults.
import { UsageError } from '../errors.ts';
import { ARCHIVE_LIMITS, type ArchiveLimits } from '../host/archive-limits.ts';
import { parseSize } from '../load/units.ts';

const HINT = 'use bytes=SIZE, entries=NUMBER and ratio=NUMBER, each or none, as in bytes=200G,ratio=none';

/** @param text as in `bytes=200G,ratio=none`. @throws UsageError */
export function parseLimits(text: string): ArchiveLimits {
  const limits: { -readonly [K in keyof ArchiveLimits]: number } = { ...ARCHIVE_LIMITS };
  for (const part of text.split(',')) {
    const [, name = '', value = ''] = /^(bytes|entries|ratio)=(.+)$/.exec(part.trim()) ?? [];
    if (name === '') throw new UsageError(`--archive-limits: ${JSON.stringify(part)} is no limit`, HINT);
    limits[name as 'bytes' | 'entries' | 'ratio'] = parseValue(name, value);
  }
  return limits;
}

function parseValue(name: string, value: string): number {
  if (value === 'none') return Infinity;
  const size = name === 'bytes' ? parseSize(value) : undefined;
  const number = size !== undefined && 'value' in size ? size.value : Number(value);
  const valid = Number.isSafeInteger(number) && number > 0;
  if (!valid) throw new UsageError(`--archive-limits: ${JSON.stringify(value)} is no limit of ${name}`, HINT);
  return number;
}

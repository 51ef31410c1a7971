// Sizes, durations and permission bits: text to numbers.
import type { Parsed } from './describe.ts';

const POWERS: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** Milliseconds that setTimeout of Node can hold, about 24 days. */
const LONGEST_DURATION = 2 ** 31 - 1;

/** Bytes; `512m` is 536870912. Units are powers of 1024 in every spelling, as in the kernel and Docker. */
export function parseSize(input: string | number): Parsed<number> {
  const hint = 'write bytes or a number with k, m, g or t, as in 512M';
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)i?b?$/i.exec(String(input));
  if (match === null || /^[0-9.]+ ?i/i.test(String(input))) return { problem: 'is not a size', hint };
  const [, amount = '', unit = ''] = match;
  const bytes = Number(amount) * 1024 ** (POWERS[unit.toLowerCase()] ?? 0);
  if (unit === '' && !Number.isInteger(bytes)) return { problem: 'is not a whole number of bytes', hint };
  if (bytes > Number.MAX_SAFE_INTEGER) return { problem: 'is too large', hint: 'the largest size is 8191T' };
  return { value: Math.floor(bytes) };
}

/** Milliseconds; several parts add up, as in `1m30s`. */
export function parseDuration(input: string): Parsed<number> {
  const hint = 'write a number with ms, s, m or h, as in 10s';
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+$/.test(input)) {
    return { problem: 'is not a duration', hint: /^[0-9]+$/.test(input) ? `add a unit: "${input}s"` : hint };
  }
  let total = 0;
  for (const [, amount, unit] of input.matchAll(/([0-9.]+)([a-z]+)/g))
    total += Number(amount) * (MILLISECONDS[unit ?? ''] ?? 0);
  if (total > LONGEST_DURATION) return { problem: 'is too long', hint: 'the longest duration is 24 days' };
  return { value: Math.round(total) };
}

/** Permission bits from octal text. Numbers are refused: YAML 1.1 and 1.2 disagree on what 0644 is. */
export function parseMode(input: string): Parsed<number> {
  if (!/^0?[0-7]{3,4}$/.test(input)) {
    return {
      problem: 'is not a file mode',
      hint: 'write three or four octal digits in quotes, as in "0644"',
    };
  }
  return { value: Number.parseInt(input, 8) };
}

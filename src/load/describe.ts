// Paths and values as messages write them.
import type { SpecPath } from '../errors.ts';

const LONGEST_VALUE = 60;

/** `network.ports[0]`, `process.env["A B"]`; the root is `the spec`. */
export function describePath(path: SpecPath): string {
  if (path.length === 0) return 'the spec';
  return path.map((part, index) => describePart(part, index === 0)).join('');
}

function describePart(part: string | number, first: boolean): string {
  if (typeof part === 'number') return `[${part}]`;
  if (!/^[\w-]+$/.test(part)) return `[${JSON.stringify(part)}]`;
  return first ? part : `.${part}`;
}

/** A value as JSON, cut when it is long. */
export function quote(value: unknown): string {
  if (value === undefined) return 'nothing';
  // JSON has no word for an infinite number or for NaN.
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string' && value.length > LONGEST_VALUE)
    return JSON.stringify(`${value.slice(0, LONGEST_VALUE)}…`);
  const text = JSON.stringify(value);
  return typeof value !== 'string' && text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

/** A value as it stands in the text, where it is a number that JavaScript holds only nearly. */
export function quoteExactly(value: unknown, source: string | undefined): string {
  const isNear = typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER;
  return isNear && source !== undefined ? source : quote(value);
}

/** A parsed scalar, or what is wrong with it: `problem` follows the value in a sentence, as in `is not a size`. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string; readonly hint: string };

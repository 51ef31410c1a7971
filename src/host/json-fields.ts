// JSON that other programs print, read without trusting its shape.
import { OperationError } from '../errors.ts';

export type Fields = Readonly<Record<string, unknown>>;

const UNESCAPED = /(?![\t\n\r])\p{Cc}/gu;

export function parseJson(stdout: string, program: string): unknown {
  // ip prints other control characters as they are. A link's name may have any but white space, and a container chooses
  // the names in its own namespace.
  const escaped = stdout.replaceAll(UNESCAPED, (character) => JSON.stringify(character).slice(1, -1));
  try {
    return JSON.parse(escaped === '' ? '[]' : escaped);
  } catch (cause) {
    throw new OperationError(`${program} printed what is not JSON`, {
      cause,
      hint: `is another program named ${program} on PATH?`,
    });
  }
}

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function record(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

export function asList(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

// What programs print as JSON, read without trusting its shape. Reads only.
import { OperationError } from '../errors.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function parseJson(stdout: string, program: string): unknown {
  try {
    return JSON.parse(stdout === '' ? '[]' : stdout);
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

// Scope of normalize, which every part of it is given: where relative paths start, and where problems go.
import type { SpecPath } from '../errors.ts';
import { describePath, quote, type Parsed } from './describe.ts';
import { codeOf } from './formats.ts';
import type { NamespaceMode, PortSpec } from './spec.ts';
import { showSource } from './show-source.ts';

/** A diagnostic without its place in the text. */
export interface Finding {
  readonly code: string;
  readonly severity?: 'warning';
  /** Lower case, no full stop. */
  readonly message: string;
  readonly hint: string;
  readonly path: SpecPath;
  /** True when the key is at fault, not the value. */
  readonly atKey?: true;
}

/** A published port and where it is written. */
export interface Published {
  readonly port: PortSpec;
  readonly path: SpecPath;
}

export interface Scope {
  /** Absolute folder in which relative paths start. */
  readonly baseDir: string;
  report(finding: Finding): void;
  /** Notes a port, to be compared with those of other specs. */
  publish(port: PortSpec, path: SpecPath): void;
  /** The scalar at `path` as it stands in the text, without quotes. */
  sourceOf(path: SpecPath): string | undefined;
}

/** The parsed value; undefined, and a finding, when it is not in `format`. */
export function accept<T>(
  scope: Scope,
  format: string,
  parsed: Parsed<T>,
  path: SpecPath,
  value: unknown,
): T | undefined {
  if ('value' in parsed) return parsed.value;
  scope.report({
    code: codeOf(format),
    message: `${describePath(path)} ${quote(typeof value === 'string' ? showSource(value) : value)} ${parsed.problem}`,
    hint: parsed.hint,
    path,
  });
  return undefined;
}

/** Items with their indexes; an item that the validator refused has left a hole, which is skipped. */
export function itemsOf<T>(list: readonly (T | undefined)[] | undefined): readonly (readonly [number, T])[] {
  return (list ?? []).flatMap((item, index) => (item === undefined ? [] : [[index, item] as const]));
}

/** Owner of a namespace that is not the container's own, for messages. */
export function describeOwner(mode: NamespaceMode): string {
  if (mode.mode === 'container') return `container ${mode.container}`;
  return mode.mode === 'path' ? mode.path : 'the host';
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The object without the keys that are undefined. */
export function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;
}

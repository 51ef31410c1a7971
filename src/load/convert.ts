// Converts YAML nodes to plain values in one pass. Refuses text that YAML 1.1 and 1.2 read differently, and values that
// could cost without bound; knows nothing of the spec language.
import { isAlias, isMap, isScalar, isSeq, type Alias, type Node, type Scalar, type YAMLMap } from 'yaml';
import type { SpecPath } from '../errors.ts';
import { describePath, quote } from './describe.ts';
import { keyOf, offsetsOf, type Aliases, type Offsets } from './locate.ts';

export type Report = (code: string, message: string, offsets: Offsets, path: SpecPath, hint?: string) => void;

export const MAX_DEPTH = 100;
/** Values an alias may expand to, all aliases of a document together. */
const MAX_ALIASED_VALUES = 10_000;

/** Numbers to the base of 60 in YAML 1.1: `2222:22` is 133342 there. */
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
/** The part of BASE_60 that YAML 1.1 does not take for an integer: a leading zero without a fraction. */
const NOT_BASE_60 = /^[-+]?0[0-9_:]*$/;

const YAML_TAG = 'tag:yaml.org,2002:';
/** Tags that say no more than the value does; the parser knows others, which make of it what JSON has no word for. */
const CORE_TAG = new RegExp(`^${YAML_TAG}(?:str|int|float|bool|null|seq|map)$`);
export const NO_TAG = 'remove the tag; specs need none';

export interface Converted {
  /** Objects without a prototype, arrays, strings, numbers, booleans and nulls. */
  readonly value: unknown;
  readonly aliases: Aliases;
}

export function convert(root: Node, report: Report): Converted {
  const conversion = new Conversion(report);
  return { value: conversion.convert(root, [], false), aliases: conversion.aliases };
}

/** Conversion of one document: keeps anchors and the cost of aliases on the way. */
class Conversion {
  readonly aliases = new Map<Alias, Node>();
  readonly #anchors = new Map<string, Node>();
  /** The collections that hold the value being converted. */
  readonly #open = new Set<Node>();
  readonly #report: Report;
  #aliased = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  /** @param again the value stands behind an alias, and its own problems have been reported where it is written. */
  convert(node: Node | null | undefined, path: SpecPath, again: boolean): unknown {
    if (node === null || node === undefined) return null;
    if (again && ++this.#aliased > MAX_ALIASED_VALUES) {
      if (this.#aliased === MAX_ALIASED_VALUES + 1) {
        const message = `aliases expand to more than ${MAX_ALIASED_VALUES} values`;
        this.#report('alias-expansion', message, offsetsOf(node), path, 'write the values out');
      }
      return null;
    }
    if (path.length > MAX_DEPTH) {
      const message = `values are nested more than ${MAX_DEPTH} levels deep`;
      this.#report('too-deep', message, offsetsOf(node), path, 'a spec needs at most 6 levels');
      return null;
    }
    if (isAlias(node)) return this.#convertAlias(node, path);
    if (!again) this.#noteAnchor(node);
    const isForeign = node.tag !== undefined && !CORE_TAG.test(node.tag);
    if (isForeign && !again) {
      const message = `${describePath(path)} has the tag ${node.tag?.replace(YAML_TAG, '!!')}`;
      this.#report('unknown-tag', message, offsetsOf(node), path, NO_TAG);
    }
    if (isScalar(node)) {
      // As it would be without the tag, which makes bytes or a date of it.
      if (isForeign) return node.source ?? null;
      if (!again) this.#checkScalar(node, path);
      return node.value;
    }
    this.#open.add(node);
    const value = this.#convertCollection(node, path, again);
    this.#open.delete(node);
    return value;
  }

  #noteAnchor(node: Node): void {
    if ('anchor' in node && typeof node.anchor === 'string') this.#anchors.set(node.anchor, node);
  }

  #convertAlias(node: Alias, path: SpecPath): unknown {
    const target = this.aliases.get(node) ?? this.#anchors.get(node.source);
    if (target === undefined) {
      const hint = `put &${node.source} at the value before it is used`;
      this.#report('unknown-alias', `alias *${node.source} has no anchor`, offsetsOf(node), path, hint);
      return null;
    }
    if (this.#open.has(target)) {
      this.#report(
        'alias-loop',
        `alias *${node.source} contains itself`,
        offsetsOf(node),
        path,
        'write the value out',
      );
      return null;
    }
    this.aliases.set(node, target);
    return this.convert(target, path, true);
  }

  #convertCollection(node: Node, path: SpecPath, again: boolean): unknown {
    if (isSeq<Node>(node))
      return node.items.map((item, index) => this.convert(item, [...path, index], again));
    return isMap<Node, Node | null>(node) ? this.#convertMap(node, path, again) : null;
  }

  #convertMap(node: YAMLMap<Node, Node | null>, path: SpecPath, again: boolean): Record<string, unknown> {
    const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const pair of node.items) {
      if (!again) this.#readKey(pair.key, path);
      const key = keyOf(this.aliases, pair);
      const keyPath = [...path, key ?? ''];
      const problem = describeKeyProblem(key, result, path);
      if (key === undefined || problem !== undefined) {
        if (!again && problem !== undefined)
          this.#report(problem.code, problem.message, offsetsOf(pair.key), keyPath, problem.hint);
        continue;
      }
      result[key] = this.convert(pair.value, keyPath, again);
    }
    return result;
  }

  #readKey(key: Node, path: SpecPath): void {
    if (isAlias(key)) {
      const target = this.#anchors.get(key.source);
      if (target !== undefined) this.aliases.set(key, target);
    } else {
      this.#noteAnchor(key);
      if (isScalar(key)) this.#checkScalar(key, [...path, String(key.value)]);
    }
  }

  #checkScalar(node: Scalar, path: SpecPath): void {
    const source = node.source ?? '';
    if (node.type === 'PLAIN' && BASE_60.test(source) && !NOT_BASE_60.test(source)) {
      const message = `${describePath(path)} ${source} is text in YAML 1.2 but a number to the base of 60 in YAML 1.1`;
      this.#report('ambiguous-number', message, offsetsOf(node), path, `quote it: "${source}"`);
    }
    if (typeof node.value === 'string' && node.value.includes('\0')) {
      const hint = 'remove it: neither the kernel nor a program can take it';
      this.#report('nul-byte', `${describePath(path)} holds a NUL byte`, offsetsOf(node), path, hint);
    }
  }
}

interface KeyProblem {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

function describeKeyProblem(key: string | undefined, map: object, path: SpecPath): KeyProblem | undefined {
  const where = describePath(path);
  if (key === undefined) {
    return { code: 'bad-key', message: `a key in ${where} is not plain text`, hint: 'write the key as text' };
  }
  if (key === '<<') {
    const hint = 'write the keys out, or use an alias for the whole value';
    return { code: 'merge-key', message: 'merge keys (<<) are not part of YAML 1.2', hint };
  }
  if (!(key in map)) return undefined;
  return {
    code: 'duplicate-key',
    message: `key ${quote(key)} is given twice in ${where}`,
    hint: 'keep one of them',
  };
}

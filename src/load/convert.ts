// YAML nodes to plain values in one pass. Refuses what YAML 1.1 and 1.2 read differently, and what
// could cost without bound; knows nothing of the spec language.
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Alias,
  type Document,
  type Node,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import type { SpecPath } from '../errors.ts';
import { describePath, quote } from './describe.ts';
import { keyOf, offsetsOf, type Offsets } from './locate.ts';

export type Report = (code: string, message: string, offsets: Offsets, path: SpecPath, hint?: string) => void;

export const MAX_DEPTH = 100;
/** Values an alias may expand to, all aliases of a document together. */
const MAX_ALIASED_VALUES = 10_000;

/** What YAML 1.1 reads as a number to the base of 60: `2222:22` is 133342 there. */
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
/** The part of BASE_60 that YAML 1.1 does not take for an integer: a leading zero without a fraction. */
const NOT_BASE_60 = /^[-+]?0[0-9_:]*$/;

/** Objects without a prototype, arrays, strings, numbers, booleans and nulls. */
export function convert(document: Document.Parsed, root: Node, report: Report): unknown {
  return new Conversion(document, report).convert(root, [], 0);
}

/** One pass over a document's nodes; a class because alias expansion is counted over the whole pass. */
class Conversion {
  readonly #document: Document.Parsed;
  readonly #report: Report;
  readonly #open = new Set<Node>();
  #aliased = 0;

  constructor(document: Document.Parsed, report: Report) {
    this.#document = document;
    this.#report = report;
  }

  convert(node: Node | null | undefined, path: SpecPath, aliasDepth: number): unknown {
    if (node === null || node === undefined) return null;
    if (aliasDepth > 0 && ++this.#aliased > MAX_ALIASED_VALUES) {
      if (this.#aliased === MAX_ALIASED_VALUES + 1) {
        this.#report(
          'alias-expansion',
          `aliases expand to more than ${MAX_ALIASED_VALUES} values`,
          offsetsOf(node),
          path,
          'write the values out',
        );
      }
      return null;
    }
    if (path.length > MAX_DEPTH) {
      this.#report(
        'too-deep',
        `values are nested more than ${MAX_DEPTH} levels deep`,
        offsetsOf(node),
        path,
        'a spec needs at most 6 levels',
      );
      return null;
    }
    if (isAlias(node)) return this.#convertAlias(node, path, aliasDepth);
    if (isScalar(node)) return this.#convertScalar(node, path, aliasDepth);
    if (isSeq<Node>(node))
      return node.items.map((item, index) => this.convert(item, [...path, index], aliasDepth));
    if (isMap<Node, Node | null>(node)) return this.#convertMap(node, path, aliasDepth);
    return null;
  }

  #convertAlias(node: Alias, path: SpecPath, aliasDepth: number): unknown {
    const target = node.resolve(this.#document);
    if (target === undefined) {
      this.#report(
        'unknown-alias',
        `alias *${node.source} has no anchor`,
        offsetsOf(node),
        path,
        `put &${node.source} at the value before it is used`,
      );
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
    this.#open.add(target);
    const value = this.convert(target, path, aliasDepth + 1);
    this.#open.delete(target);
    return value;
  }

  #convertScalar(node: Scalar, path: SpecPath, aliasDepth: number): unknown {
    // Anchored values were checked where they stand.
    if (aliasDepth === 0) this.#checkScalar(node, path);
    return node.value;
  }

  #checkScalar(node: Scalar, path: SpecPath): void {
    const source = node.source ?? '';
    if (node.type === 'PLAIN' && BASE_60.test(source) && !NOT_BASE_60.test(source)) {
      this.#report(
        'ambiguous-number',
        `${describePath(path)} ${source} is text in YAML 1.2 but a number to the base of 60 in YAML 1.1`,
        offsetsOf(node),
        path,
        `quote it: "${source}"`,
      );
    }
    if (typeof node.value === 'string' && node.value.includes('\0')) {
      this.#report(
        'nul-byte',
        `${describePath(path)} holds a NUL byte`,
        offsetsOf(node),
        path,
        'remove it: neither the kernel nor a program can take it',
      );
    }
  }

  #convertMap(node: YAMLMap<Node, Node | null>, path: SpecPath, aliasDepth: number): Record<string, unknown> {
    const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const pair of node.items) {
      const key = keyOf(this.#document, pair);
      if (key === undefined) {
        const offsets = offsetsOf(pair.key);
        this.#report(
          'bad-key',
          `a key in ${describePath(path)} is not plain text`,
          offsets,
          path,
          'write the key as text',
        );
        continue;
      }
      if (aliasDepth === 0 && isScalar(pair.key)) this.#checkScalar(pair.key, [...path, key]);
      if (key === '<<') {
        this.#report(
          'merge-key',
          'merge keys (<<) are not part of YAML 1.2',
          offsetsOf(pair.key),
          [...path, key],
          'write the keys out, or use an alias for the whole value',
        );
        continue;
      }
      if (key in result) {
        this.#report(
          'duplicate-key',
          `key ${quote(key)} is given twice in ${describePath(path)}`,
          offsetsOf(pair.key),
          [...path, key],
          'keep one of them',
        );
        continue;
      }
      result[key] = this.convert(pair.value, [...path, key], aliasDepth);
    }
    return result;
  }
}

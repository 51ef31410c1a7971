// Positions of values in the text: from a path to a YAML node to line and column. Knows nothing of specs.
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Alias,
  type LineCounter,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml';
import type { Position, SourceRange, SpecPath } from '../errors.ts';

export type Offsets = readonly [start: number, end: number];
/** Nodes by the alias that stands for them. */
export type Aliases = ReadonlyMap<Alias, Node>;
type YamlPair = Pair<Node, Node | null>;

export interface Locator {
  /** Range of the value at `path`, or of its nearest parent that exists. */
  locate(path: SpecPath): SourceRange | undefined;
  /** Range of the key that holds the value at `path`; of the value itself in a list. */
  locateKey(path: SpecPath): SourceRange | undefined;
  /** The scalar at `path` as it stands in the text, without quotes. */
  sourceOf(path: SpecPath): string | undefined;
}

interface Step {
  readonly node: Node | null | undefined;
  readonly key?: Node;
}

export function createLocator(root: Node, aliases: Aliases, lines: LineCounter): Locator {
  const indexes = new Map<YAMLMap, ReadonlyMap<string, YamlPair>>();
  const indexOf = (map: YAMLMap<Node, Node | null>): ReadonlyMap<string, YamlPair> => {
    const index = indexes.get(map) ?? indexPairs(map, aliases);
    indexes.set(map, index);
    return index;
  };
  /** The nodes from the root along `path`, as far as they exist; the first is the root. */
  const follow = (path: SpecPath): readonly Step[] => {
    const steps: Step[] = [{ node: root }];
    for (const part of path) {
      const parent = resolveAlias(aliases, steps.at(-1)?.node);
      if (isMap<Node, Node | null>(parent)) {
        const pair = indexOf(parent).get(String(part));
        if (pair === undefined) break;
        steps.push({ node: pair.value, key: pair.key });
      } else if (isSeq<Node>(parent) && typeof part === 'number' && part in parent.items) {
        steps.push({ node: parent.items[part] });
      } else {
        break;
      }
    }
    return steps;
  };
  return {
    locate: (path) => rangeOf(follow(path), lines),
    locateKey: (path) => {
      const steps = follow(path);
      const key = steps.length === path.length + 1 ? steps.at(-1)?.key : undefined;
      return key === undefined ? rangeOf(steps, lines) : toRange(lines, offsetsOf(key));
    },
    sourceOf: (path) => {
      const steps = follow(path);
      const node = steps.length === path.length + 1 ? resolveAlias(aliases, steps.at(-1)?.node) : undefined;
      return isScalar(node) ? (node.source ?? String(node.value)) : undefined;
    },
  };
}

/** The first pair of each key, as convert takes it. */
function indexPairs(map: YAMLMap<Node, Node | null>, aliases: Aliases): ReadonlyMap<string, YamlPair> {
  const index = new Map<string, YamlPair>();
  for (const pair of map.items) {
    const key = keyOf(aliases, pair);
    if (key !== undefined && !index.has(key)) index.set(key, pair);
  }
  return index;
}

export function keyOf(aliases: Aliases, pair: YamlPair): string | undefined {
  const key = resolveAlias(aliases, pair.key);
  if (!isScalar(key) || key.value === null) return undefined;
  return typeof key.value === 'string' ? key.value : (key.source ?? JSON.stringify(key.value));
}

function resolveAlias(aliases: Aliases, node: Node | null | undefined): Node | null | undefined {
  return isAlias(node) ? aliases.get(node) : node;
}

/** Range of the last step; a key without a value stands for its value. */
function rangeOf(steps: readonly Step[], lines: LineCounter): SourceRange | undefined {
  const last = steps.at(-1);
  if (last === undefined) return undefined;
  const [start, end] = last.node === null || last.node === undefined ? [0, 0] : offsetsOf(last.node);
  if (start === end && last.key !== undefined) return toRange(lines, offsetsOf(last.key));
  return toRange(lines, [start, end]);
}

export function offsetsOf(node: Node): Offsets {
  return node.range === null || node.range === undefined ? [0, 0] : [node.range[0], node.range[1]];
}

export function toRange(lines: LineCounter, [start, end]: Offsets): SourceRange {
  return { start: toPosition(lines, start), end: toPosition(lines, end) };
}

function toPosition(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1), offset };
}

// Where a value stands in the text: from a path to a YAML node to line and column. Knows nothing of specs.
import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter, type Node, type Pair } from 'yaml';
import type { Position, SourceRange, SpecPath } from '../errors.ts';

export type Offsets = readonly [start: number, end: number];

export function keyOf(document: Document.Parsed, pair: Pair<Node, Node | null>): string | undefined {
  const key = resolveAlias(document, pair.key);
  if (!isScalar(key) || key.value === null) return undefined;
  return typeof key.value === 'string' ? key.value : (key.source ?? JSON.stringify(key.value));
}

export function resolveAlias(
  document: Document.Parsed,
  node: Node | null | undefined,
): Node | null | undefined {
  return isAlias(node) ? node.resolve(document) : node;
}

export interface Step {
  readonly node: Node | null | undefined;
  readonly key?: Node;
}

/** The nodes from the root along `path`, as far as they exist; the first is the root. */
export function nodesAlong(document: Document.Parsed, root: Node, path: SpecPath): readonly Step[] {
  const steps: Step[] = [{ node: root }];
  for (const part of path) {
    const parent = resolveAlias(document, steps.at(-1)?.node);
    if (isMap<Node, Node | null>(parent)) {
      const pair = parent.items.find((item) => keyOf(document, item) === String(part));
      if (pair === undefined) break;
      steps.push({ node: pair.value, key: pair.key });
    } else if (isSeq<Node>(parent) && typeof part === 'number' && part in parent.items) {
      steps.push({ node: parent.items[part] });
    } else {
      break;
    }
  }
  return steps;
}

/** A key without a value stands for its value. */
export function rangeOf(steps: readonly Step[], lines: LineCounter): SourceRange | undefined {
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

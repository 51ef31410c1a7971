// Follows the pointers of validator errors to values, and to what the schema says of their place.
import type { SpecPath } from '../errors.ts';
import { documentShape, type Shape } from './generated/shape.ts';

interface Place {
  readonly path: SpecPath;
  readonly value: unknown;
  readonly shape: Shape | undefined;
}

/** Resolves a JSON pointer in the document; indexes become numbers. */
export function follow(pointer: string, root: unknown): Place {
  const path: (string | number)[] = [];
  let value = root;
  for (const escaped of pointer.split('/').slice(1)) {
    const key = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(value) ? Number(key) : key);
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return { path, value, shape: shapeAt(path) };
}

export function shapeAt(path: SpecPath): Shape | undefined {
  let shape: Shape | undefined = documentShape;
  for (const part of path) {
    const keys: Readonly<Record<string, Shape>> = shape?.keys ?? {};
    shape = typeof part === 'number' ? shape?.items : Object.hasOwn(keys, part) ? keys[part] : shape?.values;
  }
  return shape;
}

// The schema is the documentation of the language: it must be complete, and its examples true.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { formats } from '../../src/load/formats.ts';

interface SchemaNode {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly [keyword: string]: unknown;
}

const schema = JSON.parse(
  readFileSync(new URL('../../schema/runspec.schema.json', import.meta.url), 'utf8'),
) as SchemaNode;
const ajv = new Ajv2020({ strictTypes: false, allowUnionTypes: true });
ajv.addVocabulary([]);
ajv.addSchema(schema, 'runspec');

/** Every property anywhere in the schema, by JSON pointer. */
function collectProperties(node: unknown, pointer: string): readonly (readonly [string, SchemaNode])[] {
  if (typeof node !== 'object' || node === null) return [];
  const { if: _condition, ...rest } = node as SchemaNode;
  const own = Object.entries(rest.properties ?? {}).map(
    ([key, value]) => [`${pointer}/properties/${key}`, value] as const,
  );
  return [
    ...own,
    ...Object.entries(rest).flatMap(([key, value]) => collectProperties(value, `${pointer}/${key}`)),
  ];
}

const properties = collectProperties(schema, '');

test('is a valid draft 2020-12 schema', () => {
  expect(schema['$schema']).toBe('https://json-schema.org/draft/2020-12/schema');
  expect(ajv.validateSchema(schema)).toBe(true);
});

describe('every property', () => {
  test.each(properties)('%s is described, with examples that are valid', (pointer, property) => {
    expect(property.description).toMatch(/^[\s\S]{10,}\.$/);
    expect(property.examples?.length).toBeGreaterThan(0);
    const validate = ajv.compile({ $ref: `runspec#${pointer}` });
    for (const example of property.examples ?? [])
      expect([example, validate(example)]).toEqual([example, true]);
  });
});

test('every object with fixed keys refuses others', () => {
  const open: string[] = [];
  const visit = (node: unknown, pointer: string): void => {
    if (typeof node !== 'object' || node === null) return;
    const { properties: keys, additionalProperties } = node as SchemaNode;
    if (keys !== undefined && additionalProperties !== false) open.push(pointer);
    for (const [key, value] of Object.entries(node)) if (key !== 'if') visit(value, `${pointer}/${key}`);
  };
  visit(schema, '');
  expect(open).toEqual([]);
});

test('every format with a pattern has a parser that says what is wrong', () => {
  const definitions = Object.entries(schema['$defs'] as Readonly<Record<string, SchemaNode>>);
  const withPattern = definitions
    .filter(([, definition]) => definition['pattern'] !== undefined)
    .map(([name]) => name);
  expect(withPattern.filter((name) => formats[name] === undefined)).toEqual([]);
});

test('what is generated from it is fresh', { timeout: 60_000 }, () => {
  const script = new URL('../../scripts/generate.mjs', import.meta.url).pathname;
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

// Makes src/load/generated from schema/runspec.schema.json: the type of a document, its validator
// compiled ahead of time, and the shape of a document for messages.
// With --check it writes nothing and fails when the committed files are stale.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import Ajv2020 from 'ajv/dist/2020.js';
import standaloneCode from 'ajv/dist/standalone/index.js';
import { transformSync } from 'esbuild';
import { compile as compileTypes } from 'json-schema-to-typescript';

const schemaUrl = new URL('../schema/runspec.schema.json', import.meta.url);
const outputUrl = new URL('../src/load/generated/', import.meta.url);
const banner = '// Generated from schema/runspec.schema.json by scripts/generate.mjs; do not edit.\n';

const schema = JSON.parse(await readFile(schemaUrl, 'utf8'));

const outputs = {
  'spec-document.ts': await renderTypes(schema),
  'validate.js': renderValidator(schema),
  'validate.d.ts': renderValidatorTypes(),
  'shape.ts': renderShape(schema),
};

if (process.argv.includes('--check')) {
  await check();
} else {
  await mkdir(outputUrl, { recursive: true });
  for (const [name, text] of Object.entries(outputs)) await writeFile(new URL(name, outputUrl), text);
}

async function check() {
  const stale = [];
  for (const [name, text] of Object.entries(outputs)) {
    const committed = await readFile(new URL(name, outputUrl), 'utf8').catch(() => undefined);
    if (committed !== text) stale.push(name);
  }
  if (stale.length === 0) return;
  console.error(`src/load/generated is stale: ${stale.join(', ')}`);
  console.error('run `npm run generate` and commit the result');
  process.exitCode = 1;
}

function renderTypes(root) {
  return compileTypes(toTypeSchema(root), root.title, {
    bannerComment: banner.trim(),
    additionalProperties: false,
    ignoreMinAndMaxItems: true,
  });
}

/**
 * The schema says "text or object" in one place (`type: [string, object]`), which gives clear errors;
 * json-schema-to-typescript understands it as `anyOf`. Conditions on which keys go together have no type.
 */
function toTypeSchema(node) {
  if (Array.isArray(node)) return node.map(toTypeSchema);
  if (typeof node !== 'object' || node === null) return node;
  const { oneOf: _sources, allOf: _conditions, ...rest } = node;
  const converted = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, toTypeSchema(value)]),
  );
  if (!Array.isArray(node.type) || !node.type.includes('object')) return converted;
  const { type, description, pattern: _pattern, ...object } = converted;
  const others = type.filter((name) => name !== 'object').map((name) => ({ type: name }));
  return {
    ...(description === undefined ? {} : { description }),
    anyOf: [...others, { ...object, type: 'object' }],
  };
}

function renderValidator(root) {
  const ajv = new Ajv2020({
    allErrors: true,
    allowUnionTypes: true,
    messages: false,
    strictTypes: false,
    code: { source: true, esm: true, optimize: 2 },
  });
  // The schema has no unevaluatedProperties and no $dynamicRef; bookkeeping for them doubles the validator.
  Object.assign(ajv.opts, { unevaluated: false, dynamicRef: false, inlineRefs: false });
  const code = standaloneCode(ajv, ajv.compile(stripDocumentation(root, 'schema')));
  if (/\brequire\(|\bimport\b/.test(code))
    throw new Error('the validator must not import anything at run time');
  const compact = `function add(list,item){if(list===null)return[item];list.push(item);return list}${code
    .replace(/export default \w+;/, '')
    .replace(
      /if\(vErrors === null\)\{vErrors = \[(err\d+)\];\}else \{vErrors\.push\(\1\);\}/g,
      'vErrors=add(vErrors,$1);',
    )}`;
  return (
    banner + transformSync(compact, { minify: true, treeShaking: true, format: 'esm', target: 'node20' }).code
  );
}

/** Descriptions and examples would be copied into the validator; properties of these names are kept. */
function stripDocumentation(node, kind) {
  if (Array.isArray(node)) return node.map((item) => stripDocumentation(item, 'schema'));
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node)
    .filter(([key]) => kind === 'names' || !['description', 'examples', 'title'].includes(key))
    .map(([key, value]) => {
      if (key === 'enum' || key === 'const' || key === 'required') return [key, value];
      return [
        key,
        stripDocumentation(
          value,
          kind === 'schema' && ['properties', '$defs'].includes(key) ? 'names' : 'schema',
        ),
      ];
    });
  return Object.fromEntries(entries);
}

function renderValidatorTypes() {
  return `${banner}
export interface SchemaError {
  readonly keyword: string;
  /** JSON pointer into the document. */
  readonly instancePath: string;
  /** JSON pointer into the innermost $defs entry. */
  readonly schemaPath: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export declare const validate: {
  (value: unknown): boolean;
  errors?: readonly SchemaError[] | null;
};
`;
}

function renderShape(root) {
  return `${banner}
/** What the schema says of one place of a document, as far as messages need it. */
export interface Shape {
  /** Name of the $defs entry of a scalar, such as \`size\`. */
  readonly format?: string;
  /** Objects with fixed keys. */
  readonly keys?: Readonly<Record<string, Shape>>;
  /** Objects with free keys: the $defs entry of the keys, and their values. */
  readonly names?: string;
  readonly values?: Shape;
  readonly items?: Shape;
}

export const documentShape: Shape = ${JSON.stringify(shapeOf(root, root), null, 2)};
`;
}

function shapeOf(node, root) {
  if (node.$ref !== undefined) {
    const format = node.$ref.slice('#/$defs/'.length);
    return { format, ...shapeOf(root.$defs[format], root) };
  }
  const { properties, propertyNames, additionalProperties, items } = node;
  return {
    ...(properties && {
      keys: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, shapeOf(value, root)])),
    }),
    ...(propertyNames?.$ref && { names: propertyNames.$ref.slice('#/$defs/'.length) }),
    ...(typeof additionalProperties === 'object' && { values: shapeOf(additionalProperties, root) }),
    ...(items && { items: shapeOf(items, root) }),
  };
}

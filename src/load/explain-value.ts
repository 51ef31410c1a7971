// Explains why a single value is not what the schema wants: its type, its words, its format.
import type { SpecPath } from '../errors.ts';
import { describePath, quote, quoteExactly } from './describe.ts';
import { codeOf, formats } from './formats.ts';
import type { Shape } from './generated/shape.ts';
import type { ParsedDocument } from './parse.ts';
import type { Finding } from './scope.ts';
import { suggest } from './suggest.ts';

const TYPE_NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  object: 'an object',
  string: 'text',
};

export function explainType(
  expected: unknown,
  path: SpecPath,
  value: unknown,
  shape: Shape | undefined,
  document: ParsedDocument,
): Finding {
  const types = [expected].flat().map(String);
  const wanted = types.map((type) => TYPE_NAMES[type] ?? type).join(' or ');
  if (value === null) {
    return {
      code: 'wrong-type',
      message: `${describePath(path)} has no value`,
      hint: `give it ${wanted}, or remove the key`,
      path,
    };
  }
  const source = document.sourceOf(path) ?? quote(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return {
      code: 'wrong-type',
      message: `${describePath(path)} ${source} is not a finite number`,
      hint: `write ${wanted}`,
      path,
    };
  }
  if (shape?.format === 'port' && typeof value === 'number') {
    return {
      code: 'bad-port',
      message: `${describePath(path)} ${source} lacks the port of the host`,
      hint: `write both ports in quotes, as in ${quote(portsIn(value) ?? `${source}:${source}`)}`,
      path,
    };
  }
  const message = `${describePath(path)} is ${kindOf(value)}${typeof value === 'object' ? '' : ` (${quoteExactly(value, source)})`}, not ${wanted}`;
  const hint =
    wanted === TYPE_NAMES['object']
      ? hintForObject(path, value, source)
      : hintForType(path, types, value, source, wanted, shape);
  return { code: 'wrong-type', message, hint, path };
}

/** What somebody meant who wrote text or a list where an object belongs. */
function hintForObject(path: SpecPath, value: unknown, source: string): string {
  if (path.length === 1 && path[0] === 'rootfs' && typeof value === 'string') {
    const isArchive = /\.(?:tar|tgz|txz)(?:\.|$)/.test(value) || /^https?:/.test(value);
    const isImage = /^(?:oci:|docker-archive:|dir:|docker:\/\/)/.test(value);
    const kind = isArchive ? 'tarball' : isImage ? 'image' : undefined;
    if (kind !== undefined) return `write rootfs: { ${kind}: ${JSON.stringify(value)} }`;
    const isPath = /^[.~/]/.test(value);
    return isPath
      ? `write rootfs: { directory: ${JSON.stringify(value)} }`
      : `for an image write rootfs: { image: ${JSON.stringify(`docker://${value}`)} }`;
  }
  const assignment = Array.isArray(value) ? (value[0] as unknown) : undefined;
  if (typeof assignment === 'string' && /^[^=\s]+=/.test(assignment)) {
    const [name = '', ...rest] = assignment.split('=');
    return `write names and values: { ${name}: ${JSON.stringify(rest.join('='))} }`;
  }
  return (
    OBJECTS[path.join('.')]?.(value) ??
    (path[1] === 'rlimits' ? limitsFrom(value, source) : undefined) ??
    'write an object'
  );
}

/** Hints by the path of an object. */
const OBJECTS: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  network: (value) => (isMode(value) ? `write network: { mode: ${value} }` : undefined),
  'dns.hosts': () => 'write names and addresses: { db: 10.209.0.9 }',
};

function isMode(value: unknown): value is string {
  return typeof value === 'string' && ['bridge', 'veth', 'host', 'none'].includes(value);
}

function limitsFrom(value: unknown, source: string): string | undefined {
  return typeof value === 'number' ? `write { soft: ${source}, hard: ${source} }` : undefined;
}

function hintForType(
  path: SpecPath,
  types: readonly string[],
  value: unknown,
  source: string,
  wanted: string,
  shape: Shape | undefined,
): string {
  if (shape?.format === 'duration' && typeof value === 'number') return `add a unit: ${source}s`;
  if (types.includes('string') && ['number', 'boolean'].includes(typeof value))
    return path[0] === 'sysctls' && typeof value === 'boolean'
      ? `write ${value ? 1 : 0}`
      : hintToQuote(source, shape);
  if (types.includes('array') && typeof value !== 'object')
    return `make it a list: ${isArgs(path) && typeof value === 'string' ? argsIn(value) : `[${quote(value)}]`}`;
  if (types.includes('boolean') && ['yes', 'no', 'on', 'off'].includes(source.toLowerCase()))
    return 'write true or false';
  if (
    typeof value === 'string' &&
    types.some((type) => type === typeof Number.NaN || type === 'integer') &&
    /^[0-9.]+$/.test(value)
  ) {
    return `remove the quotes: ${value}`;
  }
  return `write ${wanted}`;
}

function isArgs(path: SpecPath): boolean {
  return path.join('.') === 'process.args';
}

/** List of the words of a command line; a line with more than words in it needs a shell. */
function argsIn(line: string): string {
  const words = /[^\w\s%+,./:=@-]/.test(line) ? ['sh', '-c', line] : line.trim().split(/\s+/);
  return `[${words.map((word) => JSON.stringify(word)).join(', ')}]`;
}

function hintToQuote(source: string, shape: Shape | undefined): string {
  const parsed = formats[shape?.format ?? '']?.(source);
  return parsed !== undefined && 'hint' in parsed ? parsed.hint : `quote it: "${source}"`;
}

export function explainEnum(allowed: unknown, path: SpecPath, value: unknown): Finding {
  const words = Array.isArray(allowed) ? allowed.map(String) : [];
  const near = typeof value === 'string' ? suggest(value, words) : undefined;
  const message = `${describePath(path)} is ${quote(value)}, not one of ${words.join(', ')}`;
  return {
    code: 'unknown-value',
    message,
    hint: near === undefined ? `write one of ${words.join(', ')}` : `did you mean ${near}?`,
    path,
  };
}

export function explainFormat(format: string, path: SpecPath, value: string): Finding {
  const parsed = formats[format]?.(value);
  const { problem, hint } =
    parsed !== undefined && 'problem' in parsed
      ? parsed
      : { problem: 'is not valid', hint: '`runspec schema` prints the language' };
  return { code: codeOf(format), message: `${describePath(path)} ${quote(value)} ${problem}`, hint, path };
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'a boolean' : 'a number';
}

const MAX_PORT = 65_535;

/** Ports that a reader of YAML 1.1 has turned into a number in base 60: 133342 was 2222:22. */
function portsIn(value: number): string | undefined {
  if (!Number.isInteger(value) || value <= MAX_PORT) return undefined;
  const [host, container] = [Math.floor(value / 60), value % 60];
  return host <= MAX_PORT && container > 0 ? `${host}:${container}` : '8080:80';
}

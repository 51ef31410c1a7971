// Errors of the schema validator, explained for the author of a spec.
import type { SpecPath } from '../errors.ts';
import { describePath, quote, quoteExactly } from './describe.ts';
import { codeOf, formats } from './formats.ts';
import { explainEnum, explainFormat, explainType } from './explain-value.ts';
import { follow, shapeAt } from './follow.ts';
import type { Shape } from './generated/shape.ts';
import type { SchemaError } from './generated/validate.js';
import type { ParsedDocument } from './parse.ts';
import type { Finding } from './scope.ts';
import { hintForKey, suggest } from './suggest.ts';

const KEY_HINTS: Readonly<Record<string, string>> = {
  runspec: 'add `runspec: 1`, the version of the language',
  name: 'add a name, as in `name: web`',
  rootfs: 'add rootfs with one of tarball, directory, image and host',
  type: 'add `type: bind`, `type: volume` or `type: tmpfs`',
  source: 'add source: a path of the host for bind, a name for volume',
  destination: 'add destination: an absolute path in the container',
  device: 'add device: the path of a block device, as in /dev/vda',
  text: 'add text: the content of the file',
};

/** Findings, one for each thing that is wrong; validators report some several times. */
export function explain(errors: readonly SchemaError[], document: ParsedDocument): readonly Finding[] {
  const findings = new Map<string, Finding>();
  for (const error of errors) {
    const finding = explainOne(error, document);
    if (finding === undefined) continue;
    const key = JSON.stringify([finding.path, finding.atKey ?? false]);
    if (!findings.has(key)) findings.set(key, finding);
  }
  return withoutMisspelled([...findings.values()]);
}

/** Drops the finding of a missing key that is there but misspelled, so that the mistake is reported once. */
function withoutMisspelled(findings: readonly Finding[]): readonly Finding[] {
  const meant = new Set(
    findings
      .filter(({ code }) => code === 'unknown-key')
      .map(({ path, hint }) => `${describePath(path.slice(0, -1))}: ${hint}`),
  );
  const isMeant = (owner: SpecPath, key: unknown): boolean =>
    meant.has(`${describePath(owner)}: did you mean ${String(key)}?`);
  return findings.filter(({ code, path }) => {
    if (code === 'missing-key') return !isMeant(path.slice(0, -1), path.at(-1));
    return code !== 'missing-source' || !sourcesOf(path).some((key) => isMeant(path, key));
  });
}

function sourcesOf(path: SpecPath): readonly string[] {
  return path[0] === 'layers' ? ['tarball', 'directory', 'files'] : ['tarball', 'directory', 'image', 'host'];
}

function explainOne(error: SchemaError, document: ParsedDocument): Finding | undefined {
  const { path, value, shape } = follow(error.instancePath, document.value);
  const params = error.params;
  // Errors in the branches of oneOf and in the names of keys are repeated by the keyword around them.
  if (error.schemaPath.includes('/oneOf/') || error.schemaPath.includes('/propertyNames/')) return undefined;
  switch (error.keyword) {
    case 'if':
      return undefined;
    case 'additionalProperties':
      return explainUnknownKey(String(params['additionalProperty']), path, value, shape);
    case 'required':
      return explainMissingKey(String(params['missingProperty']), path, value);
    case 'propertyNames':
      return explainKeyName(String(params['propertyName']), path, shape);
    case 'oneOf':
      return explainSources(path, value);
    case 'type':
      return explainType(params['type'], path, value, shape, document);
    case 'enum':
      return explainEnum(params['allowedValues'], path, value);
    case 'const':
      return {
        code: 'unsupported-version',
        message: `${describePath(path)} is ${quote(value)}, not 1`,
        hint: 'write `runspec: 1`; there is no other version yet',
        path,
      };
    case 'minimum':
    case 'maximum': {
      const [most, bound] = [error.keyword === 'maximum', String(params['limit'])];
      return {
        code: 'out-of-range',
        message: `${describePath(path)} is ${quoteExactly(value, document.sourceOf(path))}, ${most ? 'more' : 'less'} than ${bound}`,
        hint: `the ${most ? 'largest' : 'smallest'} value is ${bound}`,
        path,
      };
    }
    case 'minItems':
    case 'minProperties':
      return explainEmpty(path, value, shape);
    case 'pattern':
      return typeof value === 'string' ? explainFormat(shape?.format ?? '', path, value) : undefined;
    default:
      return {
        code: 'invalid-value',
        message: `${describePath(path)} ${quote(value)} is not valid (${error.keyword})`,
        hint: '`runspec schema` prints the language',
        path,
      };
  }
}

function explainEmpty(path: SpecPath, value: unknown, shape: Shape | undefined): Finding | undefined {
  const where = describePath(path);
  if (shape?.format !== 'ioLimit') {
    return {
      code: 'empty-value',
      message: `${where} is empty`,
      hint: 'add at least one entry, or remove the key',
      path,
    };
  }
  // A limit without a device is reported as a missing key.
  if (typeof value !== 'object' || value === null || !('device' in value)) return undefined;
  return {
    code: 'missing-key',
    message: `${where} limits nothing`,
    hint: 'add at least one of rbps, wbps, riops and wiops',
    path,
  };
}

function explainUnknownKey(
  key: string,
  path: SpecPath,
  value: unknown,
  shape: Shape | undefined,
): Finding | undefined {
  const mistaken = mistakenPort(path, value, shape);
  if (mistaken !== undefined) return mistaken;
  const hint = hintForKey(key, Object.keys(shape?.keys ?? {}));
  return {
    code: 'unknown-key',
    message: `unknown key ${quote(key)} in ${describePath(path)}`,
    hint,
    path: [...path, key],
    atKey: true,
  };
}

function explainMissingKey(key: string, path: SpecPath, value: unknown): Finding | undefined {
  // A mistaken port is explained better by explainUnknownKey.
  if (mistakenPort(path, value, shapeAt(path)) !== undefined) return undefined;
  const hint = KEY_HINTS[key] ?? `add ${key}`;
  return {
    code: 'missing-key',
    message: `key ${quote(key)} is missing in ${describePath(path)}`,
    hint,
    path: [...path, key],
    atKey: true,
  };
}

/** Finding for `- 8080: 80`, which is a map to YAML. */
function mistakenPort(path: SpecPath, value: unknown, shape: Shape | undefined): Finding | undefined {
  if (shape?.format !== 'port' || typeof value !== 'object' || value === null) return undefined;
  const [entry, ...others] = Object.entries(value);
  if (entry === undefined || others.length > 0 || !/^[0-9.:[\]]+$/.test(entry[0])) return undefined;
  const meant = `"${entry[0]}:${String(entry[1])}"`;
  return {
    code: 'bad-port',
    message: `${describePath(path)} is a map from ${entry[0]} to ${quote(entry[1])}, not a port mapping`,
    hint: `remove the space and quote it: ${meant}`,
    path,
  };
}

function explainKeyName(key: string, path: SpecPath, shape: Shape | undefined): Finding {
  const keyPath = [...path, key];
  if (shape?.names === undefined) {
    const rlimits =
      'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack';
    const near = suggest(key, rlimits.split(' '));
    const hint =
      near === undefined ? `known limits: ${rlimits.replaceAll(' ', ', ')}` : `did you mean ${near}?`;
    return {
      code: 'unknown-rlimit',
      message: `${quote(key)} in ${describePath(path)} is not a resource limit`,
      hint,
      path: keyPath,
      atKey: true,
    };
  }
  const parsed = formats[shape.names]?.(key);
  const { problem, hint } =
    parsed !== undefined && 'problem' in parsed
      ? parsed
      : { problem: 'is not a valid key', hint: '`runspec schema` prints the language' };
  return {
    code: codeOf(shape.names),
    message: `${quote(key)} in ${describePath(path)} ${problem}`,
    hint,
    path: keyPath,
    atKey: true,
  };
}

function explainSources(path: SpecPath, value: unknown): Finding | undefined {
  // A value that is no object is reported by the keyword type.
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const kinds = sourcesOf(path);
  const given = Object.keys(value).filter((key) => kinds.includes(key));
  const where = describePath(path);
  const [first, second] = given;
  if (first === undefined || second === undefined) {
    return {
      code: 'missing-source',
      message: `${where} has no source`,
      hint: `add one of ${kinds.join(', ')}`,
      path,
    };
  }
  return {
    code: 'two-sources',
    message: `${where} has ${given.length} sources: ${given.join(', ')}`,
    hint: 'keep exactly one of them',
    path: [...path, second],
    atKey: true,
  };
}

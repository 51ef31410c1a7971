// Validates a parsed document against the schema. Takes the wrong parts out and hands on the rest, so that the checks
// after the schema still see it and all problems are reported at once.
import type { SpecPath } from '../errors.ts';
import { explain } from './explain.ts';
import { follow } from './follow.ts';
import type { SpecDocument } from './generated/spec-document.ts';
import { validate as validateSchema } from './generated/validate.js';
import type { ParsedDocument } from './parse.ts';
import type { Finding } from './scope.ts';

export interface Validation {
  readonly findings: readonly Finding[];
  /** The document without its wrong parts, which conforms to the schema; absent when nothing could be saved. */
  readonly document?: SpecDocument;
}

/** Values in the place of required keys that were missing or wrong. */
const PLACEHOLDERS: Readonly<Record<string, unknown>> = {
  runspec: 1,
  name: 'unnamed',
  rootfs: { directory: '/' },
};
/** Most rounds: taking a wrong value out can leave its parent without a required key, up to the root. */
const MOST_ROUNDS = 8;

export function validate(parsed: ParsedDocument): Validation {
  if (validateSchema(parsed.value)) return { findings: [], document: parsed.value as SpecDocument };
  const findings = explain(validateSchema.errors ?? [], parsed);
  if (typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value))
    return { findings };
  const value = structuredClone(parsed.value) as Record<string, unknown>;
  let left = findings;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    for (const finding of left) remove(value, targetOf(finding));
    for (const [key, placeholder] of Object.entries(PLACEHOLDERS))
      value[key] ??= structuredClone(placeholder);
    validateSchema(value);
    // Errors about holes do not count: a list keeps its holes, so that indexes still match the text.
    const errors = (validateSchema.errors ?? []).filter(
      (error) => follow(error.instancePath, value).value !== undefined,
    );
    if (errors.length === 0) return { findings, document: value as unknown as SpecDocument };
    left = explain(errors, { ...parsed, value });
  }
  return { findings };
}

/** Path to take out: the value itself, or for a missing key the object that lacks it. */
function targetOf(finding: Finding): SpecPath {
  const ofOwner = finding.code === 'missing-key' || finding.code === 'two-sources';
  return ofOwner && finding.atKey === true ? finding.path.slice(0, -1) : finding.path;
}

function remove(root: Record<string, unknown>, path: SpecPath): void {
  let parent: unknown = root;
  for (const part of path.slice(0, -1)) {
    if (typeof parent !== 'object' || parent === null) return;
    parent = (parent as Record<string | number, unknown>)[part];
  }
  const last = path.at(-1);
  if (last === undefined || typeof parent !== 'object' || parent === null) return;
  if (Array.isArray(parent)) parent[Number(last)] = undefined;
  else delete (parent as Record<string | number, unknown>)[last];
}

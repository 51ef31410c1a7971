// YAML text to plain values, each document with the place of every value in the text. Knows nothing
// of the spec language; what YAML 1.1 and 1.2 read differently is refused here.
import { isScalar, LineCounter, parseAllDocuments, type Document, type YAMLError } from 'yaml';
import type { Diagnostic, SourceRange, SpecPath } from '../errors.ts';
import { convert, MAX_DEPTH, type Report } from './convert.ts';
import { nodesAlong, offsetsOf, rangeOf, resolveAlias, toRange } from './locate.ts';
import { MAX_TEXT_LENGTH, type SourceText } from './read-sources.ts';

export interface ParsedDocument {
  /** Objects without a prototype, arrays, strings, numbers, booleans and nulls. */
  readonly value: unknown;
  /** False when parse has reported a problem of it. */
  readonly sound: boolean;
  /** Range of the value at `path`, or of its nearest parent that exists. */
  locate(path: SpecPath): SourceRange | undefined;
  /** Range of the key that holds the value at `path`; of the value itself in a list. */
  locateKey(path: SpecPath): SourceRange | undefined;
  /** The scalar at `path` as it stands in the text, without quotes. */
  sourceOf(path: SpecPath): string | undefined;
}

export interface ParseResult {
  readonly documents: readonly ParsedDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

export function parse(source: SourceText): ParseResult {
  const text = source.text.startsWith('\uFEFF') ? source.text.slice(1) : source.text;
  const lines = new LineCounter();
  const fail = (code: string, message: string, hint: string): ParseResult => {
    const start = { line: 1, column: 1, offset: 0 };
    const range = { start, end: start };
    return {
      documents: [],
      diagnostics: [{ code, severity: 'error', message, hint, path: [], file: source.file, range }],
    };
  };
  if (text.length > MAX_TEXT_LENGTH) {
    return fail(
      'file-too-large',
      `the file has ${text.length} characters, more than ${MAX_TEXT_LENGTH}`,
      'put large content into a tarball or a directory layer',
    );
  }
  let documents;
  try {
    // Duplicate keys are found in convert, where both places are known.
    documents = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      version: '1.2',
    });
  } catch (error) {
    // The parser recurses; thousands of open brackets exhaust the stack.
    if (!(error instanceof RangeError)) throw error;
    return fail('too-deep', 'the file is nested too deeply to be read', `nest at most ${MAX_DEPTH} levels`);
  }
  if (!Array.isArray(documents) || documents.length === 0) {
    return fail(
      'empty-file',
      'the file holds no spec',
      'a spec starts with `runspec: 1`; `runspec schema` prints the language',
    );
  }
  const results = documents.map((document) => readDocument(document, source.file, lines));
  return {
    documents: results.flatMap((result) => (result.document === undefined ? [] : [result.document])),
    diagnostics: results.flatMap((result) => result.diagnostics),
  };
}

interface ReadResult {
  readonly document?: ParsedDocument;
  readonly diagnostics: readonly Diagnostic[];
}

function readDocument(document: Document.Parsed, file: string, lines: LineCounter): ReadResult {
  const diagnostics: Diagnostic[] = [];
  const report: Report = (code, message, offsets, path, hint) => {
    const range = toRange(lines, offsets);
    diagnostics.push({
      code,
      severity: 'error',
      message,
      ...(hint === undefined ? {} : { hint }),
      path,
      file,
      range,
    });
  };
  for (const error of [...document.errors, ...document.warnings]) reportYaml(error, report);
  if (document.directives.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
    report(
      'yaml-version',
      `the file asks for YAML ${document.directives.yaml.version}`,
      [0, 5],
      [],
      'specs are YAML 1.2: remove the %YAML line',
    );
  }
  // A text that is not YAML has values of no meaning: more messages would be noise.
  if (diagnostics.length > 0) return { diagnostics };
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) {
    const start = root?.range[0] ?? document.range[0];
    report(
      'empty-document',
      'the document is empty',
      [start, start],
      [],
      'remove the extra `---`, or write a spec after it',
    );
    return { diagnostics };
  }
  const value = convert(document, root, report);
  return {
    diagnostics,
    document: {
      value,
      sound: diagnostics.length === 0,
      locate: (path) => rangeOf(nodesAlong(document, root, path), lines),
      locateKey: (path) => {
        const steps = nodesAlong(document, root, path);
        const last = steps.at(-1);
        return last?.key !== undefined && steps.length === path.length + 1
          ? toRange(lines, offsetsOf(last.key))
          : rangeOf(steps, lines);
      },
      sourceOf: (path) => {
        const steps = nodesAlong(document, root, path);
        const node =
          steps.length === path.length + 1 ? resolveAlias(document, steps.at(-1)?.node) : undefined;
        return isScalar(node) ? (node.source ?? String(node.value)) : undefined;
      },
    },
  };
}

function reportYaml(error: YAMLError, report: Report): void {
  const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  if (error.code === 'TAG_RESOLVE_FAILED') {
    report('unknown-tag', message, error.pos, [], 'remove the tag; specs need none');
  } else if (error.code === 'TAB_AS_INDENT') {
    report('yaml-syntax', message, error.pos, [], 'indent with spaces');
  } else {
    report(
      'yaml-syntax',
      message,
      error.pos,
      [],
      'the text is not valid YAML 1.2; check quotes, brackets and indentation here and above',
    );
  }
}

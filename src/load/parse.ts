// Parses YAML text to plain values, each document with the place of every value in the text. Knows nothing of the spec
// language; text that YAML 1.1 and 1.2 read differently is refused here.
import { isScalar, LineCounter, parseAllDocuments, type Document, type YAMLError } from 'yaml';
import type { Diagnostic } from '../errors.ts';
import { convert, MAX_DEPTH, NO_TAG, type Report } from './convert.ts';
import { createLocator, toRange, type Locator } from './locate.ts';
import { nestsDeeper } from './nesting.ts';
import { MAX_TEXT_LENGTH, type SourceText } from './read-sources.ts';

export interface ParsedDocument extends Locator {
  /** Objects without a prototype, arrays, strings, numbers, booleans and nulls. */
  readonly value: unknown;
  /** Problems of this document that parse has reported; a value that could not be read is null. */
  readonly problems: readonly Diagnostic[];
}

export interface ParseResult {
  readonly documents: readonly ParsedDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

/** One missing bracket can make the parser stumble hundreds of times. */
const MOST_SYNTAX_ERRORS = 10;

export function parse(source: SourceText): ParseResult {
  const begin = source.text.startsWith('\uFEFF') ? 1 : 0;
  const text = source.text.slice(begin);
  const lines = new LineCounter();
  const fail = (code: string, message: string, hint: string, offset = 0): ParseResult => {
    const before = text.slice(0, offset).split('\n');
    const start = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, offset };
    const range = { start, end: start };
    return {
      documents: [],
      diagnostics: [{ code, severity: 'error', message, hint, path: [], file: source.file, range }],
    };
  };
  const { fault } = source;
  if (fault !== undefined)
    return fail('not-utf8', fault.message, 'save the file as UTF-8', fault.offset - begin);
  if (text.length > MAX_TEXT_LENGTH) {
    return fail(
      'file-too-large',
      `the file has ${text.length} characters, more than ${MAX_TEXT_LENGTH}`,
      'put large content into a tarball or a directory layer',
    );
  }
  if (nestsDeeper(text, MAX_DEPTH)) {
    return fail(
      'too-deep',
      `values are nested more than ${MAX_DEPTH} levels deep`,
      'a spec needs at most 6 levels',
    );
  }
  const second = findSecondLine(text);
  if (second !== undefined)
    return fail('yaml-syntax', 'the file has a JSON document a line', 'put `---` between them', second);
  // Duplicate keys are found in convert, where both places are known.
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
  });
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

/** Where the second document begins in a text that is JSON lines, as some programs write them: YAML separates its documents. */
function findSecondLine(text: string): number | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  const begins = [...text.matchAll(/^(?=[^\S\n]*\S).+$/gm)];
  const isJson = begins.length > 1 && begins.every(([line]) => isJsonObject(line));
  return isJson ? begins[1]?.index : undefined;
}

function isJsonObject(line: string): boolean {
  if (!line.trimStart().startsWith('{')) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
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
  const troubles = [...document.errors, ...document.warnings];
  for (const error of troubles.slice(0, MOST_SYNTAX_ERRORS)) reportYaml(error, report);
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
    const start = document.range[0];
    report(
      'empty-document',
      'the document is empty',
      [start, start],
      [],
      'remove the extra `---`, or write a spec after it',
    );
    return { diagnostics };
  }
  const { value, aliases } = convert(root, report);
  return { diagnostics, document: { value, problems: diagnostics, ...createLocator(root, aliases, lines) } };
}

function reportYaml(error: YAMLError, report: Report): void {
  const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  if (error.code === 'TAG_RESOLVE_FAILED') {
    report('unknown-tag', message, error.pos, [], NO_TAG);
  } else if (message.startsWith('maximum call stack')) {
    report('too-deep', 'values are nested too deeply', error.pos, [], `nest at most ${MAX_DEPTH} levels`);
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

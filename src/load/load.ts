// Loads Specs from texts, or every problem they have, in the order of the text. Pure: the same texts always give the
// same result, and nothing of the machine is read.
import type { Diagnostic, SourceRange, SpecPath } from '../errors.ts';
import { findConflicts, type Candidate } from './conflicts.ts';
import { normalize } from './normalize.ts';
import { parse, type ParsedDocument } from './parse.ts';
import type { SourceText } from './read-sources.ts';
import { sortByPlace } from './sort-by-place.ts';
import type { Finding, Published, Scope } from './scope.ts';
import type { Spec } from './spec.ts';
import { validate } from './validate.ts';

export interface LoadedSpec {
  readonly spec: Spec;
  /** Name of the file in messages. */
  readonly file: string;
  /**
   * Range of a value in the text, or of its nearest parent there. A spec that was recalled has its text read for this.
   */
  locate(path: SpecPath): Promise<SourceRange | undefined>;
}

export interface LoadResult {
  /** Specs of the documents without errors, in the order of the texts. */
  readonly specs: readonly LoadedSpec[];
  /** Sorted by text, then by position. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Codes of parse after which a value is null. */
const UNREADABLE: ReadonlySet<string> = new Set([
  'unknown-alias',
  'alias-loop',
  'alias-expansion',
  'too-deep',
]);

export function load(sources: readonly SourceText[]): LoadResult {
  const diagnostics: Diagnostic[] = [];
  const candidates: Candidate[] = [];
  const faulty = new Set<ParsedDocument>();
  const report = (finding: Finding, parsed: ParsedDocument, file: string): void => {
    const diagnostic = toDiagnostic(finding, parsed, file);
    diagnostics.push(diagnostic);
    if (diagnostic.severity === 'error') faulty.add(parsed);
  };
  for (const source of sources) {
    const { documents, diagnostics: problems } = parse(source);
    diagnostics.push(...problems);
    for (const parsed of documents) {
      if (parsed.problems.length > 0) faulty.add(parsed);
      const { findings, read } = readDocument(parsed, source.baseDir);
      for (const finding of findings) if (!isReported(finding, parsed)) report(finding, parsed, source.file);
      if (read !== undefined) candidates.push({ ...read, file: source.file, parsed });
    }
  }
  for (const { finding, candidate } of findConflicts(candidates))
    report(finding, candidate.parsed, candidate.file);
  return {
    specs: candidates
      .filter(({ parsed }) => !faulty.has(parsed))
      .map(({ spec, file, parsed }) => ({ spec, file, locate: async (path) => parsed.locate(path) })),
    diagnostics: sortByPlace(diagnostics, sources),
  };
}

interface ReadResult {
  readonly findings: readonly Finding[];
  /** Spec and ports; absent when nothing of the document could be understood. */
  readonly read?: Pick<Candidate, 'spec' | 'published'>;
}

function readDocument(parsed: ParsedDocument, baseDir: string): ReadResult {
  const { findings, document } = validate(parsed);
  if (document === undefined) return { findings };
  const more: Finding[] = [];
  const published: Published[] = [];
  const scope: Scope = {
    baseDir,
    report: (finding) => more.push(finding),
    publish: (port, path) => published.push({ port, path }),
    sourceOf: parsed.sourceOf,
  };
  const spec = normalize(document, scope);
  return { findings: [...findings, ...more], read: { spec, published } };
}

/** Whether parse has reported the value already: one that it could not read is null, and wrong for the schema again. */
function isReported(finding: Finding, parsed: ParsedDocument): boolean {
  const place = JSON.stringify(finding.path);
  return (
    finding.code === 'wrong-type' &&
    parsed.problems.some((problem) => UNREADABLE.has(problem.code) && JSON.stringify(problem.path) === place)
  );
}

function toDiagnostic(finding: Finding, parsed: ParsedDocument, file: string): Diagnostic {
  const { code, severity = 'error', message, hint, path } = finding;
  const range = finding.atKey === true ? parsed.locateKey(path) : parsed.locate(path);
  return { code, severity, message, hint, path, file, ...(range === undefined ? {} : { range }) };
}

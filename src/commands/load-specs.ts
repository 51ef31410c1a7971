// Loads the SPEC arguments of a command; every problem is reported before anything else is done.
import { posix } from 'node:path';
import { InvalidSpecError, UsageError, type Diagnostic } from '../errors.ts';
import type { LoadedSpec } from '../load/load.ts';
import { readSources, type SourceText } from '../load/read-sources.ts';
import { renderDiagnostic } from '../load/render-diagnostic.ts';
import { sortByPlace } from '../load/sort-by-place.ts';
import type { Compiled } from '../plan/compile.ts';
import type { CommandContext } from './context.ts';
import { findApplied } from './find-applied.ts';
import { recallSpecs, type UnderstoodText } from './known-specs.ts';

export interface LoadedSpecs {
  readonly specs: readonly LoadedSpec[];
  readonly sources: readonly SourceText[];
  /** Names of all specs in the sources, also of those that were not asked for. */
  readonly names: ReadonlySet<string>;
  /** Absolute paths of the sources, and of the folders that were asked for. */
  readonly places: ReadonlySet<string>;
  /** Whether the sources were all recalled, as they are what was applied. */
  readonly isRecalled: boolean;
  /** Texts to be remembered once they are applied; none if they were recalled or have any problem. */
  readonly understood: readonly UnderstoodText[];
}

/**
 * @param options whether a text that was applied before, and has not changed, may be recalled.
 * @throws InvalidSpecError after the diagnostics were shown, UsageError when a file is missing.
 */
export async function loadSpecs(
  context: CommandContext,
  args: readonly string[],
  { recall = false }: { readonly recall?: boolean } = {},
): Promise<LoadedSpecs> {
  if (args.length === 0)
    throw new UsageError('no SPEC is given', 'give a file, a folder of specs, or - for standard input');
  const named = await findApplied(context, args);
  const files = [...new Set(args.map((arg) => named.get(arg) ?? arg))];
  const sources = await readSources(context.host, files, context, context.workingDirectory);
  const recalled = recall ? await recallSpecs(context, sources) : undefined;
  const { specs: all, diagnostics } =
    recalled === undefined
      ? (await import('../load/load.ts')).load(sources)
      : { specs: recalled, diagnostics: [] };
  showDiagnostics(context, diagnostics, sources);
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
  if (errors.length > 0) throw new InvalidSpecError(errors);
  const asked = new Set(args.map((arg) => posix.resolve(context.workingDirectory, arg)));
  const specs = all.filter(
    ({ spec, file }) =>
      asked.has(posix.resolve(context.workingDirectory, file)) ||
      !isIn(named, file) ||
      named.get(spec.name) === file,
  );
  for (const [name, file] of named) {
    if (!specs.some(({ spec }) => spec.name === name))
      throw new UsageError(`${file} has no spec of ${name} any more`, 'give the file that has it');
  }
  if (specs.length === 0) throw new UsageError(`there is no spec in ${args.join(', ')}`);
  const isNew = recall && recalled === undefined && diagnostics.length === 0;
  const understood = sources.map((source) => ({
    source,
    specs: all.flatMap(({ spec, file }) => (file === source.file ? [spec] : [])),
  }));
  const places = [...args, ...sources.map(({ file }) => file)];
  return {
    specs,
    sources,
    names: new Set(all.map(({ spec }) => spec.name)),
    places: new Set(places.map((place) => posix.resolve(context.workingDirectory, place))),
    isRecalled: recalled !== undefined,
    understood: isNew ? understood : [],
  };
}

function isIn(named: ReadonlyMap<string, string>, file: string): boolean {
  return [...named.values()].includes(file);
}

export function showDiagnostics(
  context: CommandContext,
  diagnostics: readonly Diagnostic[],
  sources: readonly SourceText[],
): void {
  for (const diagnostic of diagnostics) {
    const source = sources.find((one) => one.file === diagnostic.file);
    context.stderr(renderDiagnostic(diagnostic, source?.text ?? '', { color: context.color }));
  }
}

/** Shows what compile found, with the places in the files. @throws InvalidSpecError when anything is an error. */
export async function checkCompiled(
  context: CommandContext,
  loaded: LoadedSpecs,
  compiled: readonly Compiled[],
): Promise<void> {
  const placed = await showPlaced(
    context,
    loaded,
    compiled.map((one) => one.diagnostics),
  );
  const errors = placed.filter((diagnostic) => diagnostic.severity === 'error');
  if (errors.length > 0) throw new InvalidSpecError(errors);
}

/** Shows what was found of each spec, in the order of the places in the files. @returns the same with the places. */
export async function showPlaced(
  context: CommandContext,
  { specs, sources }: LoadedSpecs,
  found: readonly (readonly Diagnostic[])[],
): Promise<readonly Diagnostic[]> {
  const placed = await Promise.all(
    found.flatMap((diagnostics, index) =>
      diagnostics.map((diagnostic) => placeDiagnostic(specs[index], diagnostic)),
    ),
  );
  showDiagnostics(context, sortByPlace(placed, sources), sources);
  return placed;
}

/** The diagnostic with the place in the file that its path names. */
export async function placeDiagnostic(
  spec: LoadedSpec | undefined,
  diagnostic: Diagnostic,
): Promise<Diagnostic> {
  const range = await spec?.locate(diagnostic.path);
  return {
    ...diagnostic,
    ...(spec === undefined ? {} : { file: spec.file }),
    ...(range === undefined ? {} : { range }),
  };
}

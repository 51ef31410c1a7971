// validate: every problem of the specs that can be seen without looking at the machine.
import { readSources } from '../load/read-sources.ts';
import { findConfigProblems } from '../oci/config.ts';
import { findRuntimeProblems } from '../plan/runtime.ts';
import { EXIT, type CommandContext } from './context.ts';
import { findApplied } from './find-applied.ts';
import { placeDiagnostic, showDiagnostics } from './load-specs.ts';

export async function validate(context: CommandContext, args: readonly string[]): Promise<number> {
  const named = await findApplied(context, args);
  const files = [...new Set(args.map((arg) => named.get(arg) ?? arg))];
  const sources = await readSources(context.host, files, context, context.workingDirectory);
  const { load } = await import('../load/load.ts');
  const { specs, diagnostics: found } = load(sources);
  // Things that the language has words for, but no machine could do, are problems too.
  const diagnostics = [
    ...found,
    ...(await Promise.all(
      specs.flatMap((loaded) =>
        [...findConfigProblems(loaded.spec), ...findRuntimeProblems(loaded.spec)].map((one) =>
          placeDiagnostic(loaded, one),
        ),
      ),
    )),
  ];
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error').length;
  if (context.json) {
    const names = specs.map(({ spec, file }) => ({ name: spec.name, file }));
    const failure = errors === 0 ? {} : { status: EXIT.invalid };
    const document = { valid: errors === 0, ...failure, specs: names, diagnostics };
    context.stdout(`${JSON.stringify(document, undefined, 2)}\n`);
  } else {
    showDiagnostics(context, diagnostics, sources);
    if (!context.quiet) context.stderr(summarize(specs.length, errors));
  }
  return errors === 0 ? EXIT.done : EXIT.invalid;
}

function summarize(specs: number, errors: number): string {
  if (errors > 0) return `${errors} ${errors === 1 ? 'problem' : 'problems'}`;
  return specs === 1 ? 'the spec is valid' : `${specs} specs are valid`;
}

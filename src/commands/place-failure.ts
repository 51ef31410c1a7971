// Finds the place in a spec that a failed step goes back to, as `file:line:col`.
import { OperationError, type SpecPath } from '../errors.ts';
import type { LoadedSpec } from '../load/load.ts';
import type { LayerRecipe } from '../plan/layer-recipe.ts';
import type { Plan } from '../plan/plan.ts';
import { TOO_LONG } from '../runtime/runtime-errors.ts';

/** The same error with its place, when the spec has one for it. */
export async function placeFailure(
  error: unknown,
  plan: Plan,
  loaded: LoadedSpec | undefined,
): Promise<unknown> {
  if (!(error instanceof OperationError) || loaded === undefined) return error;
  const path =
    (TOO_LONG.test(error.message) ? pathOfLongest(loaded) : undefined) ??
    error.path ??
    pathOfMount(error.destination, loaded) ??
    pathOfLayer(error.step, plan, loaded);
  return placeByPath(error.with({ path }), loaded);
}

/** The same error with the place of the path that it carries, when the spec has one for it. */
export async function placeByPath(error: unknown, loaded: LoadedSpec): Promise<unknown> {
  const path = error instanceof OperationError ? error.path : undefined;
  const start = path === undefined ? undefined : (await loaded.locate(path))?.start;
  if (start === undefined || !(error instanceof OperationError)) return error;
  return error.with({ place: `${loaded.file}:${start.line}:${start.column}` });
}

/** Of what the process is given; where the sum is too much, it has the greatest part in it. */
function pathOfLongest({ spec: { process } }: LoadedSpec): SpecPath | undefined {
  const given: readonly (readonly [SpecPath, string])[] = [
    ...(process.args ?? []).map((arg, index) => [['process', 'args', index], arg] as const),
    ...Object.entries(process.env).map(
      ([name, value]) => [['process', 'env', name], `${name}=${value}`] as const,
    ),
  ];
  return given.toSorted(([, one], [, other]) => other.length - one.length)[0]?.[0];
}

function pathOfMount(destination: string | undefined, { spec }: LoadedSpec): SpecPath | undefined {
  const index = spec.mounts.findIndex((mount) => mount.destination === destination);
  return index < 0 ? undefined : ['mounts', index];
}

/**
 * Path of the layer that a step makes. A plan knows layers by their content only, so the source tells which one it is.
 */
function pathOfLayer(id: string | undefined, plan: Plan, { spec }: LoadedSpec): SpecPath | undefined {
  const step = plan.steps.find((one) => one.id === id);
  if (step?.op !== 'layer') return undefined;
  const { kind } = step.layer;
  const sources = [spec.rootfs, ...spec.layers];
  const alike = sources.filter((source) => source.kind === kind);
  const source = alike.length === 1 ? alike[0] : alike.find((one) => isSource(one, step.layer));
  const index = source === undefined ? -1 : sources.indexOf(source);
  if (index < 0) return undefined;
  return index === 0 ? ['rootfs', kind] : ['layers', index - 1, kind];
}

function isSource(
  source: LoadedSpec['spec']['layers'][number] | LoadedSpec['spec']['rootfs'],
  recipe: LayerRecipe,
): boolean {
  if (source.kind === 'tarball' && recipe.kind === 'tarball') return source.tarball === recipe.tarball;
  if (source.kind === 'directory' && recipe.kind === 'directory')
    return source.directory === recipe.directory;
  return (
    source.kind === 'files' &&
    recipe.kind === 'files' &&
    JSON.stringify(source.files) === JSON.stringify(recipe.files)
  );
}

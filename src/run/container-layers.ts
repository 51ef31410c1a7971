// The folders with a container's files, from the applied plan: layers, the layer of mount points and the writable
// layer, and the paths in it that mounts have hidden from everybody.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ByteString } from '../host/packing.ts';
import { mergeLayers } from '../image/resolve-path.ts';
import { readLayerNote } from '../image/store.ts';
import type { OciConfig } from '../oci/runtime-spec.ts';
import type { LayerRecipe } from '../plan/layer-recipe.ts';
import type { Plan, StepOf } from '../plan/plan.ts';

export interface ContainerLayer {
  readonly path: string;
  /** Absent for a folder of the host that serves as a layer in its place, without being copied to the store. */
  readonly recipe?: LayerRecipe;
  /** Folders that the layer's archive did not list. */
  readonly implied: ReadonlySet<ByteString>;
  /** The layer hides all layers below it. */
  readonly opaqueRoot: boolean;
}

export interface ContainerLayers {
  /** Lowest first, without the layer of mount points. */
  readonly layers: readonly ContainerLayer[];
  readonly mountpoints: string;
  /** Absent when the root is read-only. */
  readonly upper?: string;
  /** Paths that something is mounted on, relative to the root. */
  readonly hidden: readonly ByteString[];
}

export async function readContainerLayers(host: Host, plan: Plan): Promise<ContainerLayers> {
  const overlay = stepOf(plan, 'overlay');
  const mountpoints = stepOf(plan, 'mountpoints').path;
  const recipes = plan.steps.flatMap((step) => (step.op === 'layer' ? [step.layer] : []));
  const lower = overlay.lower.filter((path) => path !== mountpoints);
  const layers = await Promise.all(
    lower.map(async (path): Promise<ContainerLayer> => {
      const recipe = recipes.find((one) => one.path === path);
      const record = await readLayerNote(host, path);
      return {
        path,
        ...(recipe === undefined ? {} : { recipe }),
        implied: new Set(record?.folders?.implied),
        opaqueRoot: record?.folders?.opaqueRoot ?? false,
      };
    }),
  );
  const merged = await mergeLayers(host, overlay.lower);
  const hidden = await Promise.all(mountedPaths(stepOf(plan, 'bundle')).map((path) => merged.resolve(path)));
  return {
    layers,
    mountpoints,
    ...(overlay.upper === undefined ? {} : { upper: overlay.upper }),
    hidden: hidden.map(({ path }) => Buffer.from(path.slice(1)).toString('latin1')),
  };
}

/** @throws OperationError when the plan has no such step, because it was cut short. */
export function stepOf<K extends 'overlay' | 'mountpoints' | 'bundle' | 'process'>(
  plan: Plan,
  op: K,
): StepOf<K> {
  const step = plan.steps.find((one): one is StepOf<K> => one.op === op);
  if (step !== undefined) return step;
  throw new OperationError(`${plan.name} has no ${op} in its records`, { hint: 'apply its spec again' });
}

function mountedPaths({ config }: StepOf<'bundle'>): readonly string[] {
  const { mounts } = config as Partial<Pick<OciConfig, 'mounts'>>;
  return (mounts ?? []).map(({ destination }) => destination);
}

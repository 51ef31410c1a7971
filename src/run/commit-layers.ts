// The layers of a container as an image gets them: each lower layer as it is, with the container's changes on top, or
// all merged into one tree. What is mounted over the root is in neither.
import type { LayerFiles, LayerPath, Packing } from '../host/packing.ts';
import { hidePaths, joinBytes } from '../image/layer-stack.ts';
import type { PackableLayer } from '../image/pack-layer.ts';
import { planLayer, planMerged } from '../image/plan-packing.ts';
import { markKey, readOpaque } from '../image/read-marks.ts';
import type { ContainerLayer, ContainerLayers } from './container-layers.ts';
import { showSource } from '../load/show-source.ts';

/** The layers, lowest first; the last one has the container's changes, unless its root is read-only. */
export function layersToPack(name: string, container: ContainerLayers): readonly PackableLayer[] {
  const { layers, mountpoints, upper, hidden } = container;
  const paths = layers.map(({ path }) => path);
  const lower = layers.map((layer, index): PackableLayer => {
    const below = paths.slice(0, index);
    return {
      createdBy: `runspec: ${describe(layer)}`,
      roots: [layer.path],
      plan: (files) => planLayer(files, { ...layer, root: layer.path, below }),
    };
  });
  if (upper === undefined) return lower;
  const own = { root: upper, below: paths, implied: new Set<string>(), opaqueRoot: false, mountpoints };
  return [
    ...lower,
    {
      createdBy: `runspec commit ${name}`,
      roots: [upper],
      plan: (files) => planLayer(hidePaths(files, upper, hidden), own),
    },
  ];
}

/** The tree that the container sees, without what is mounted over it. */
export async function mergedToPack(
  packing: Packing,
  name: string,
  { layers, upper, hidden }: ContainerLayers,
  signal: AbortSignal,
): Promise<PackableLayer> {
  const roots = [...layers.map(({ path }) => path), ...(upper === undefined ? [] : [upper])];
  const opaque = await readOpaque(packing, roots, allFolders(packing, roots), signal);
  const marked = new Set(layers.filter(({ opaqueRoot }) => opaqueRoot).map(({ path }) => path));
  const implied = new Map(layers.map((layer) => [layer.path, layer.implied]));
  const marks = {
    isOpaque: (root: string, path: string) =>
      path === '' ? marked.has(root) : opaque.has(markKey(root, path)),
    isImplied: (root: string, path: string) => implied.get(root)?.has(path) ?? false,
  };
  return {
    createdBy: `runspec commit ${name}`,
    roots,
    plan: (files) => planMerged(upper === undefined ? files : hidePaths(files, upper, hidden), roots, marks),
  };
}

function* allFolders(files: LayerFiles, roots: readonly string[], path = ''): Generator<LayerPath> {
  for (const root of roots) {
    for (const { name, type } of files.list(root, path) ?? []) {
      if (type !== 'directory') continue;
      const at = joinBytes(path, name);
      yield { root, path: at };
      yield* allFolders(files, [root], at);
    }
  }
}

function describe({ path, recipe }: ContainerLayer): string {
  switch (recipe?.kind) {
    case undefined:
      return `folder ${path}`;
    case 'tarball':
      return `archive ${showSource(recipe.tarball)}`;
    case 'directory':
      return `folder ${recipe.directory} at ${recipe.destination}`;
    case 'files':
      return `files ${Object.keys(recipe.files).join(' ')}`;
    case 'host':
      return `host files ${recipe.files.join(' ')}`;
    case 'image':
      return `layer ${recipe.diffId} of ${recipe.image}`;
  }
}

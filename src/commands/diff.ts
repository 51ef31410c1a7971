// diff: the files that a container has added, changed and deleted, whether it runs or has ended.
import type { ByteString } from '../host/packing.ts';
import { compareUpper, foldersAtUpper, withParents, type FileChange } from '../image/compare-upper.ts';
import { createLayerStack, hidePaths } from '../image/layer-stack.ts';
import { findUnlike, markKey, readOpaque } from '../image/read-marks.ts';
import { readContainerLayers, type ContainerLayers } from '../run/container-layers.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { findPlan } from './find-container.ts';
import { escapeName } from './escape-name.ts';

export async function diff(context: CommandContext, name: string): Promise<number> {
  await requireRoot(context);
  const plan = await findPlan(context, name);
  const container = await readContainerLayers(context.host, plan);
  const changes = await findChanges(context, container);
  context.stdout(
    context.json
      ? `${JSON.stringify(changes.map(forMachines), undefined, 2)}\n`
      : changes.map(({ kind, path }) => `${kind} /${escapeName(path)}\n`).join(''),
  );
  return EXIT.done;
}

async function findChanges(
  context: CommandContext,
  { layers, mountpoints, upper, hidden }: ContainerLayers,
): Promise<readonly FileChange[]> {
  if (upper === undefined) return [];
  const packing = await context.packing();
  const files = hidePaths(packing, upper, hidden);
  // Mount points count as there before: they are not the container's doing.
  const lower = [...layers.map(({ path }) => path), mountpoints];
  const roots = [upper, ...lower];
  const opaque = await readOpaque(packing, roots, foldersAtUpper(files, upper, lower), context.signal);
  const opaqueRoots = new Set(layers.filter((layer) => layer.opaqueRoot).map(({ path }) => path));
  const marks = {
    isOpaque: (root: string, path: ByteString) =>
      path === '' ? opaqueRoots.has(root) : opaque.has(markKey(root, path)),
  };
  const { changes, alike } = compareUpper(files, upper, createLayerStack(files, lower, marks), marks);
  const unlike = await findUnlike(packing, alike, context.signal);
  return withParents([
    ...changes,
    ...unlike.map((pair): FileChange => ({ kind: 'C', path: pair.upper.path })),
  ]);
}

/** `bytes`, in base64, only where the path is not UTF-8 and `path` therefore not the whole truth. */
function forMachines({ kind, path }: FileChange): Readonly<Record<string, string>> {
  const bytes = Buffer.from(`/${path}`, 'latin1');
  const text = bytes.toString('utf8');
  return {
    kind,
    path: text,
    ...(Buffer.from(text).equals(bytes) ? {} : { bytes: bytes.toString('base64') }),
  };
}

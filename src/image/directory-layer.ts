// layers[].directory and layers[].files: a folder of the host, or texts of the spec, placed at a path of the
// container. The path is followed through the symlinks of the layers below, as the finished root would.
import { OperationError } from '../errors.ts';
import type { InlineFile } from '../load/spec.ts';
import type { LayerRecipe } from '../plan/layer-recipe.ts';
import { sha256 } from '../crypto.ts';
import { createTreeInspector } from './inspect-tar.ts';
import { makeLayer } from './make-layer.ts';
import { makeFolders } from './make-path.ts';
import { resolveInLayers, type PathStep } from './resolve-path.ts';
import { hashOnce, type HashScope } from './hash-cache.ts';
import { describeLower, identityOfTree, lastChange } from './tree-key.ts';
import type { LayerContext } from './unpack-tarball.ts';

type RecipeOf<K extends LayerRecipe['kind']> = Extract<LayerRecipe, { kind: K }>;

/**
 * Key of a layer by the content of its folder: the same for every clone and release of it, whenever its files were
 * written.
 * @param directory has no symlink in it.
 * @throws OperationError when it cannot be read.
 */
export async function directoryKey(
  scope: HashScope,
  directory: string,
  destination: string,
  lower: readonly string[],
): Promise<string> {
  const { archives, signal } = scope;
  const place = ['directory', destination, describeLower(lower)];
  const entries = await archives.walk(directory, signal);
  const name = JSON.stringify([directory, ...place]);
  const source = { name, identity: identityOfTree(entries), changedNs: lastChange(entries) };
  return hashOnce(scope, source, async () =>
    sha256(JSON.stringify([...place, await archives.digest(directory, signal)])),
  );
}

export function filesKey(files: Readonly<Record<string, InlineFile>>, lower: readonly string[]): string {
  const entries = Object.entries(files)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, { text, mode, uid, gid }]) => [path, text, mode, uid, gid]);
  return sha256(JSON.stringify(['files', describeLower(lower), entries]));
}

export async function makeDirectoryLayer(
  context: LayerContext,
  recipe: RecipeOf<'directory'>,
): Promise<void> {
  const { host, archives, signal, progress } = context;
  const { directory, destination, lower, key } = recipe;
  const own = await host.status(directory);
  if (own?.type !== 'directory') throw new OperationError(`${directory} is no longer a folder`);
  await makeLayer(context, key, async (folder) => {
    const { steps } = await resolveInLayers(host, lower, destination);
    // A destination that exists keeps its mode and owner, a new one takes those of the source.
    const target = await makeFolders(host, folder, withModel(steps, own));
    const inspector = createTreeInspector(archives.limits);
    const names = (await host.list(directory)) ?? [];
    if (names.length > 0) {
      await archives.copy({ root: directory, names, recursive: true }, target, {
        inspector,
        signal,
        progress,
      });
    }
    if ((await directoryKey({ ...context, mayWrite: false }, directory, destination, lower)) !== key) {
      throw new OperationError(`${directory} changed while it was copied, or since the plan was made`, {
        hint: 'apply again when nothing writes there',
      });
    }
    const { entries, bytes } = inspector.summary();
    return { source: directory, entries, size: bytes, created: host.now() };
  });
  // Remembers the key, so that the next apply need not read the folder.
  await directoryKey({ ...context, mayWrite: true }, directory, destination, lower);
}

function withModel(steps: readonly PathStep[], model: NonNullable<PathStep['status']>): readonly PathStep[] {
  const last = steps.at(-1);
  if (last === undefined || last.status?.type === 'directory') return steps;
  return [...steps.slice(0, -1), { name: last.name, status: model }];
}

export async function makeFilesLayer(context: LayerContext, recipe: RecipeOf<'files'>): Promise<void> {
  const { host } = context;
  const { files, lower, key } = recipe;
  await makeLayer(context, key, async (folder) => {
    for (const [path, { text, mode, uid, gid }] of Object.entries(files)) {
      // A symlink at the very place is replaced by the file, not followed.
      const { steps } = await resolveInLayers(host, [...lower, folder], path, { followLast: false });
      const name = steps.at(-1)?.name;
      if (name === undefined) throw new OperationError(`${path} is the root folder, not a file`);
      const parent = await makeFolders(host, folder, steps.slice(0, -1));
      if ((await host.status(`${parent}/${name}`)) !== undefined) {
        throw new OperationError(`${path} is given twice, or as both a file and a folder`);
      }
      await host.writeAtomic(`${parent}/${name}`, text, { mode, uid, gid });
    }
    const size = Object.values(files).reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    return {
      source: `inline ${Object.keys(files).join(' ')}`,
      entries: Object.keys(files).length,
      size,
      created: host.now(),
    };
  });
}

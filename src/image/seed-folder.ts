// A folder that begins as another one of a finished root: made out of sight, and there under its name once it is whole.
import { posix } from 'node:path';
import { createTreeInspector } from './inspect-tar.ts';
import { resolveInLayers } from './resolve-path.ts';
import type { LayerContext } from './unpack-tarball.ts';
import { removeStaleFolders, withWorkFolder } from './work-folder.ts';

/** No volume and no container is named like that. */
const PREFIX = '.new.';

/**
 * Makes `folder` with the content, the owner and the mode of the folder at `path` in `root`, whose symlinks are followed
 * inside only.
 */
export async function seedFolder(
  context: Pick<LayerContext, 'host' | 'archives' | 'signal' | 'progress'>,
  folder: string,
  { root, path }: { readonly root: string; readonly path: string },
): Promise<void> {
  const { host, archives, signal, progress } = context;
  const { steps } = await resolveInLayers(host, [root], path);
  const model = steps.at(-1)?.status;
  if (model?.type !== 'directory') {
    // A persistent layer may hold something else there by now: then the runtime has the last word.
    await host.makeDirectory(folder, { mode: 0o755 });
    return;
  }
  const { mode, uid, gid } = model;
  const source = [root, ...steps.map(({ name }) => name)].join('/');
  const names = (await host.list(source)) ?? [];
  const make = async (work: string): Promise<void> => {
    const whole = `${work}/folder`;
    await host.makeDirectory(whole, { mode, uid, gid });
    if (names.length > 0) {
      const inspector = createTreeInspector(archives.limits);
      await archives.copy({ root: source, names, recursive: true }, whole, { inspector, signal, progress });
      await archives.sync(whole);
    }
    await host.rename(whole, folder);
  };
  // Beside it, as nothing else is sure to be of the same file system.
  await withWorkFolder(host, posix.dirname(folder), make, PREFIX);
}

/** Removes what killed processes left of such folders below `parent`. */
export async function removeStaleSeeds(host: LayerContext['host'], parent: string): Promise<void> {
  const names = ((await host.list(parent)) ?? []).filter((name) => name.startsWith(PREFIX));
  await removeStaleFolders(host, parent, PREFIX, names);
}

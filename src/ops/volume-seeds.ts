// Makes a new volume with the content that it begins with: out of sight, until it is whole and gets its name.
import { posix } from 'node:path';
import type { FileStatus, Host } from '../host/host.ts';
import { createTreeInspector } from '../image/inspect-tar.ts';
import { mergeLayers } from '../image/resolve-path.ts';
import { visibleLayers } from '../image/store.ts';
import { removeStaleFolders, withWorkFolder } from '../image/work-folder.ts';
import type { DirectoryStep, VolumeSeed } from '../plan/plan.ts';
import type { OpContext } from './op.ts';
import { makeLinks } from './overlay.ts';
import { overlayOptions } from './overlay-options.ts';

/** Prefix of the folders in which volumes are made: no volume and no container has such a name. */
const PREFIX = '.new.';

/** A folder of a root filesystem that a volume takes its content, owner and mode from. */
interface Model {
  readonly lower: readonly string[];
  /** Absolute, without a symlink. */
  readonly path: string;
  readonly status: FileStatus;
  readonly isEmpty: boolean;
}

/** Makes the folder of a volume that is not there. */
export async function makeVolume(
  context: Pick<OpContext, 'host' | 'archives' | 'signal' | 'progress'>,
  { path, mode, seeds = [] }: Pick<DirectoryStep, 'path' | 'mode' | 'seeds'>,
): Promise<void> {
  const { host, archives, signal, progress } = context;
  const models = (await Promise.all(seeds.map((seed) => findModel(host, seed)))).flatMap((one) => one ?? []);
  const model = models.find(({ isEmpty }) => !isEmpty) ?? models[0];
  if (model === undefined) {
    await host.makeDirectory(path, { mode });
    return;
  }
  const make = async (work: string): Promise<void> => {
    const folder = `${work}/folder`;
    const { uid, gid, mode: exact } = model.status;
    await host.makeDirectory(folder, { mode: exact, uid, gid });
    if (!model.isEmpty) {
      const options = overlayOptions({ lower: model.lower });
      await makeLinks(host, options);
      const source = { root: model.path, names: ['.'], recursive: true, overlay: options };
      // The content lies in the container's root anyway, so there are no limits: devices and any amount may be copied.
      const inspector = createTreeInspector(UNLIMITED, { devices: true });
      await archives.copy(source, folder, { inspector, signal, progress });
      await archives.sync(folder);
    }
    await host.rename(folder, path);
  };
  // The work folder is beside the volume: no other place is sure to be on the same file system.
  await withWorkFolder(host, posix.dirname(path), make, PREFIX);
}

const UNLIMITED = { bytes: Infinity, entries: Infinity, ratio: Infinity, ratioFrom: Infinity };

async function findModel(host: Host, seed: VolumeSeed): Promise<Model | undefined> {
  const lower = await visibleLayers(host, seed.lower);
  const merged = await mergeLayers(host, lower);
  const { steps } = await merged.resolve(seed.path);
  const status = steps.at(-1)?.status;
  if (status?.type !== 'directory') return undefined;
  const relative = steps.map(({ name }) => name).join('/');
  const layers = (await merged.originOf(relative))?.layers ?? [];
  const lists = await Promise.all(layers.map((layer) => host.list(`${layer}/${relative}`)));
  // Whiteouts count as names too: the copy then finds nothing.
  const isEmpty = lists.every((names) => names === undefined || names.length === 0);
  return { lower, path: `/${relative}`, status, isEmpty };
}

/** Removes unfinished folders of volumes that killed processes left below `parent`. */
export async function removeStaleSeeds(host: Host, parent: string): Promise<void> {
  await removeStaleFolders(host, parent, PREFIX, await listSeeds(host, parent));
}

/** Names of the folders in which volumes are being made, or were when their maker was killed. */
export async function listSeeds(host: Host, parent: string): Promise<readonly string[]> {
  return ((await host.list(parent)) ?? []).filter((name) => name.startsWith(PREFIX));
}

// Makes a new volume with the content that it begins with.
import type { FileStatus, Host } from '../host/host.ts';
import { createTreeInspector } from '../image/inspect-tar.ts';
import { mergeLayers } from '../image/resolve-path.ts';
import { visibleLayers } from '../image/store.ts';
import type { DirectoryStep, VolumeSeed } from '../plan/plan.ts';
import type { OpContext } from './op.ts';
import { makeLinks } from './overlay.ts';
import { overlayOptions } from './overlay-options.ts';
import { makeUnseen } from './unseen.ts';

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
  await makeUnseen(host, path, async (folder) => {
    const { uid, gid, mode: exact } = model.status;
    await host.makeDirectory(folder, { mode: exact, uid, gid });
    if (model.isEmpty) return;
    const options = overlayOptions({ lower: model.lower });
    await makeLinks(host, options);
    const source = { root: model.path, names: ['.'], recursive: true, overlay: options };
    // The content lies in the container's root anyway, so there are no limits: devices and any amount may be copied.
    const inspector = createTreeInspector(UNLIMITED, { devices: true });
    await archives.copy(source, folder, { inspector, signal, progress });
    await archives.sync(folder);
  });
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

// Makes real folders and files inside one layer. A folder over one of a lower layer takes on its mode and owner,
// because the merged folder of an overlay has those of the topmost layer.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { PathStep } from './resolve-path.ts';

/**
 * Makes the folders of `steps` in one layer.
 * @returns the path of the last folder inside the layer's folder.
 * @throws OperationError when something else is in the way.
 */
export async function makeFolders(host: Host, layer: string, steps: readonly PathStep[]): Promise<string> {
  let path = layer;
  for (const { name, status } of steps) {
    path = `${path}/${name}`;
    const model = status?.type === 'directory' ? status : { mode: 0o755, uid: 0, gid: 0 };
    if ((await host.status(path)) === undefined) {
      await host.makeDirectory(path, { mode: model.mode, uid: model.uid, gid: model.gid });
    } else {
      await requireType(host, path, 'directory');
    }
  }
  return path;
}

export async function makeEmptyFile(host: Host, layer: string, steps: readonly PathStep[]): Promise<void> {
  const folder = await makeFolders(host, layer, steps.slice(0, -1));
  const last = steps.at(-1);
  if (last === undefined) throw new OperationError('the root folder cannot be a file');
  const path = `${folder}/${last.name}`;
  if ((await host.status(path)) !== undefined) {
    await requireType(host, path, 'file');
    return;
  }
  const model = last.status?.type === 'file' ? last.status : { mode: 0o644, uid: 0, gid: 0 };
  await host.writeAtomic(path, '', { mode: model.mode, uid: model.uid, gid: model.gid, sync: false });
}

async function requireType(host: Host, path: string, type: 'directory' | 'file'): Promise<void> {
  const found = await host.status(path);
  if (found?.type === type) return;
  throw new OperationError(`${path} is wanted as a ${type} but is a ${found?.type ?? 'nothing'}`, {
    hint: 'two things of the spec want the same place, one as a folder and one as a file',
  });
}

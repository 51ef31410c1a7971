// Mounts of others inside a container's own folders. What is deleted or written there on the way back
// would be their files: nothing is reverted before they are gone.
import { OperationError } from '../errors.ts';
import { readMounts } from '../host/kernel-view.ts';
import type { OpContext } from '../ops/op.ts';
import { containerFolder } from '../plan/container-folder.ts';

export async function findForeignMount(context: OpContext): Promise<OperationError | undefined> {
  const { host, stateDir, dataDir, container } = context;
  const state = `${stateDir}/${container}`;
  const folders = [containerFolder(dataDir, container), state];
  const foreign = (await readMounts(host)).find(
    ({ target, type }) =>
      (target !== `${state}/rootfs` || type !== 'overlay') &&
      folders.some((folder) => target === folder || target.startsWith(`${folder}/`)),
  );
  if (foreign === undefined) return undefined;
  return new OperationError(
    `${foreign.target} is a mount point in a folder of ${container}: nothing was removed`,
    { hint: `unmount it and try again: umount ${foreign.target}` },
  );
}

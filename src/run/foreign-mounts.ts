// Mounts of others inside a container's own folders. Reverting would delete or write their files, so nothing is
// reverted while there is one.
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

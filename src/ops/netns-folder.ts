// /run/netns as `ip netns add` wants it: bound on itself and shared, so that deleting a namespace reaches every mount
// namespace that has seen it. The first `ip netns add` on a host makes the mount; when that was ours, the mount goes
// with the last namespace.
import { commandError, runChecked } from '../host/commands.ts';
import { readMounts, type MountState } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import { removeWhenEmpty } from '../host/remove-when-empty.ts';
import { NETNS_FOLDER } from '../names.ts';
import type { Op, Reverted } from './op.ts';

export const netnsFolder: Op<'netns-folder'> = {
  // The mount takes only the names along, which each namespace's own step looks for; the processes keep the namespaces.
  isOutlived: true,

  describe: () => `shared mount ${NETNS_FOLDER}`,

  async probe({ view }) {
    return isUsable(await view.mounts()) ? { state: 'present' } : { state: 'absent' };
  },

  async before({ host, view }) {
    return {
      mounted: topMount(await view.mounts(), NETNS_FOLDER) !== undefined,
      existed: (await host.status(NETNS_FOLDER)) !== undefined,
    };
  },

  async apply({ host }) {
    await host.makeDirectory(NETNS_FOLDER, { mode: 0o755 });
    if (isUsable(await readMounts(host))) return;
    await runChecked(host, ['mount', '--bind', '--make-shared', NETNS_FOLDER, NETNS_FOLDER]);
  },

  async revert({ host }, _step, before) {
    const names = await host.list(NETNS_FOLDER);
    if (names === undefined) return { outcome: 'gone' };
    // `ip netns add` makes the very same mount: only the record of what was found first tells whose it is.
    if (before['mounted'] !== false) return { outcome: 'kept', reason: 'it was there before', foreign: true };
    if (names.length > 0) return keptFor(names);
    if (topMount(await readMounts(host), NETNS_FOLDER) !== undefined) {
      const result = await host.run(['umount', NETNS_FOLDER]);
      // Somebody may just have made a namespace; umount(2) refuses then.
      const late = result.status === 0 ? [] : ((await host.list(NETNS_FOLDER)) ?? []);
      if (late.length > 0) return keptFor(late);
      if (result.status !== 0) throw commandError(`cannot unmount ${NETNS_FOLDER}`, result);
    }
    if (before['existed'] !== true) await removeWhenEmpty(host, NETNS_FOLDER);
    return { outcome: 'removed' };
  },

  toShell: () => [`mkdir -p ${NETNS_FOLDER}`, `mount --bind --make-shared ${NETNS_FOLDER} ${NETNS_FOLDER}`],
};

/**
 * Whether the folder is mounted, or names are mounted in it. Without its own mount it may have the name of a namespace
 * that was made while another runspec took the mount away: binding the folder now would hide that name.
 */
function isUsable(mounts: readonly MountState[]): boolean {
  return mounts.some(({ target }) => target === NETNS_FOLDER || target.startsWith(`${NETNS_FOLDER}/`));
}

function keptFor(names: readonly string[]): Reverted {
  return { outcome: 'kept', reason: `it still holds ${names.slice(0, 3).join(', ')}` };
}

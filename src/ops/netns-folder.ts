// /run/netns as `ip netns add` wants it: bound on itself and shared, so that deleting a namespace reaches
// every mount namespace that has seen it. Made by the first `ip netns add` on a host; when that was
// ours, it goes with the last namespace.
import { runChecked } from '../host/commands.ts';
import { NETNS_FOLDER, readMounts } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import type { Op } from './op.ts';

export const netnsFolder: Op<'netns-folder'> = {
  // Names in it are lost with it, each of which its own step looks for; the namespaces are where their processes are.
  isOutlived: true,

  describe: () => `shared mount ${NETNS_FOLDER}`,

  async probe({ view }) {
    const mount = topMount(await view.mounts(), NETNS_FOLDER);
    return mount === undefined ? { state: 'absent' } : { state: 'present', owned: true };
  },

  async before({ host, view }) {
    return {
      mounted: topMount(await view.mounts(), NETNS_FOLDER) !== undefined,
      existed: (await host.status(NETNS_FOLDER)) !== undefined,
    };
  },

  async apply({ host }) {
    await host.makeDirectory(NETNS_FOLDER, { mode: 0o755 });
    if (topMount(await readMounts(host), NETNS_FOLDER) !== undefined) return;
    await runChecked(host, ['mount', '--bind', '--make-shared', NETNS_FOLDER, NETNS_FOLDER]);
  },

  async revert({ host }, _step, before) {
    const names = await host.list(NETNS_FOLDER);
    if (names === undefined) return { outcome: 'gone' };
    // `ip netns add` makes the very same mount: nothing tells whose it is but what was found first.
    if (before['mounted'] !== false) return { outcome: 'kept', reason: 'it was there before', foreign: true };
    if (names.length > 0)
      return { outcome: 'kept', reason: `it still holds ${names.slice(0, 3).join(', ')}` };
    if (topMount(await readMounts(host), NETNS_FOLDER) !== undefined)
      await runChecked(host, ['umount', NETNS_FOLDER]);
    if (before['existed'] !== true) await host.removeDirectory(NETNS_FOLDER);
    return { outcome: 'removed' };
  },

  toShell: () => [`mkdir -p ${NETNS_FOLDER}`, `mount --bind --make-shared ${NETNS_FOLDER} ${NETNS_FOLDER}`],
};

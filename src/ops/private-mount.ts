// A folder bound on itself with private propagation. Where /run is shared (systemd), mounts made below it would be
// copied into every other mount namespace and stay busy there; below a private mount they are not.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readMounts, type MountState } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import type { Op } from './op.ts';
import { quoteAll } from './shell.ts';
import { unmount } from './unmount.ts';

/**
 * Mode of the state folder: others may look up a container by name, but neither list names nor enter its folder (0700).
 */
export const STATE_MODE = 0o711;

export const privateMount: Op<'private-mount'> = {
  describe: (step) => `private mount ${step.path}`,

  async probe({ view }, step) {
    const mount = topMount(await view.mounts(), step.path);
    if (mount === undefined) return { state: 'absent' };
    return mount.isPrivate
      ? { state: 'present' }
      : {
          state: 'drifted',
          inPlace: true,
          differences: [{ property: 'propagation', wanted: 'private', found: 'shared' }],
        };
  },

  async before({ host, view }, step) {
    const mounts = await view.mounts();
    return {
      mounted: isForeign(mounts, topMount(mounts, step.path)),
      existed: (await host.status(step.path)) !== undefined,
    };
  },

  async apply({ host }, step) {
    await makeFolder(host, step.path);
    if (topMount(await readMounts(host), step.path) !== undefined) return;
    await runChecked(host, bindCommand(step.path));
  },

  async update({ host }, step) {
    await runChecked(host, ['mount', '--make-private', step.path]);
  },

  async revert({ host }, step, before) {
    const mounts = await readMounts(host);
    const mount = topMount(mounts, step.path);
    if (isForeign(mounts, mount) || (mount !== undefined && before['mounted'] === true)) {
      return { outcome: 'kept', reason: 'it was a mount point before', foreign: true };
    }
    const below = mounts.find((other) => other.target.startsWith(`${step.path}/`));
    if (mount !== undefined && below !== undefined)
      return { outcome: 'kept', reason: `${below.target} is still mounted below it` };
    if (mount !== undefined) await unmount(host, step.path);
    // Without a record of whether the folder was there before, its mode decides: nobody else's folder has ours.
    const found = await host.status(step.path);
    const wasThere = before['existed'] ?? found?.mode !== STATE_MODE;
    const isEmpty = found?.type === 'directory' && (await host.list(step.path))?.length === 0;
    const removed = wasThere === false && isEmpty && (await host.removeDirectory(step.path));
    return { outcome: mount !== undefined || removed ? 'removed' : 'gone' };
  },

  toShell: (step) => [`mkdir -p -m 711 ${quoteAll([step.path])}`, quoteAll(bindCommand(step.path))],
};

/** Makes the state folder, and none above it: nobody would remove those again. */
async function makeFolder(host: Host, path: string): Promise<void> {
  try {
    await host.makeDirectory(path, { mode: STATE_MODE });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new OperationError(`cannot make the state folder ${path}: no such file or directory`, {
      cause,
      hint: 'make the folder above it first, or choose another one with --state-dir or RUNSPEC_STATE_DIR',
    });
  }
}

/** Whether something other than the folder itself is mounted there. */
function isForeign(mounts: readonly MountState[], mount: MountState | undefined): boolean {
  const around = mounts.find((other) => other.id === mount?.parent);
  if (mount === undefined || around === undefined) return false;
  const below = around.target === '/' ? mount.target : mount.target.slice(around.target.length);
  return mount.device !== around.device || mount.root !== (around.root === '/' ? below : around.root + below);
}

function bindCommand(path: string): readonly string[] {
  return ['mount', '--bind', '--make-private', path, path];
}

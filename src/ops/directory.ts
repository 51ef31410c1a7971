// A folder of runspec's own. On revert it goes when it is empty, or with its content when the plan says so.
import type { Host } from '../host/host.ts';
import { topMount } from '../host/mount-lookup.ts';
import type { DirectoryStep } from '../plan/plan.ts';
import type { Op } from './op.ts';
import { quote } from './shell.ts';
import { makeUnseen } from './unseen.ts';
import { makeVolume } from './volume-seeds.ts';

export const directory: Op<'directory'> = {
  // A volume that exists keeps its content, whatever its seeds are by now.
  passive: ['seeds'],

  describe: ({ path, seeds = [] }) => {
    const folders = seeds.map((seed) => seed.path).join(' or ');
    return `folder ${path}${folders === '' ? '' : `, when new filled from ${folders}`}`;
  },

  async probe({ host, view }, step) {
    const found = await host.status(step.path);
    if (found === undefined) return { state: 'absent' };
    if (found.type !== 'directory') {
      return {
        state: 'drifted',
        inPlace: false,
        differences: [{ property: 'type', wanted: 'directory', found: found.type }],
      };
    }
    // Volumes and shared folders belong to their users: their mode is not ours to reset.
    if (step.removal === 'volume' || step.shared === true || found.mode === step.mode)
      return { state: 'present' };
    // The mode is of what is mounted there, our overlay or another's file system, and tells nothing of the folder below.
    if (topMount(await view.mounts(), step.path) !== undefined) return { state: 'present' };
    return {
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'mode', wanted: step.mode.toString(8), found: found.mode.toString(8) }],
    };
  },

  async before({ host }, step) {
    return { existed: (await host.status(step.path)) !== undefined };
  },

  async apply(context, step) {
    const { host } = context;
    for (const parent of missingParents(step.path)) {
      if ((await host.status(parent)) === undefined) await host.makeDirectory(parent, { mode: 0o755 });
    }
    const isNew = (await host.status(step.path)) === undefined;
    if (isNew && step.seeds !== undefined) await makeVolume(context, step);
    else if (isNew && step.removal === 'volume') await makeWhole(host, step);
    else await host.makeDirectory(step.path, { mode: step.mode });
  },

  async update({ host }, step) {
    await host.setMode(step.path, step.mode);
  },

  async revert({ host }, step, before, { volumes }) {
    if (step.removal === 'volume') {
      if (volumes) return { outcome: (await host.removeTree(step.path)) ? 'removed' : 'gone' };
      if ((await host.status(step.path)) === undefined) return { outcome: 'gone' };
      return { outcome: 'kept', reason: 'volumes are kept; down --volumes removes them' };
    }
    if (step.removal === 'tree') return { outcome: (await host.removeTree(step.path)) ? 'removed' : 'gone' };
    if (before['existed'] === true) return { outcome: 'kept', reason: 'it was there before', foreign: true };
    const content = await host.list(step.path);
    if (content === undefined) return { outcome: 'gone' };
    if (content.length > 0)
      return { outcome: 'kept', reason: `it still holds ${content.slice(0, 3).join(', ')}` };
    return { outcome: (await host.removeDirectory(step.path)) ? 'removed' : 'gone' };
  },

  // The shell form leaves a volume empty: no shell command copies seeds without following symlinks out of the layers.
  toShell: ({ path, mode }) => [`mkdir -p -m ${mode.toString(8)} ${quote(path)}`],
};

/**
 * Makes a folder that `down` keeps, and sets its mode before it gets its name. The mode is never checked again, so a
 * kill between mkdir(2) and chmod(2) must not leave a wrong one.
 */
function makeWhole(host: Host, { path, mode }: DirectoryStep): Promise<void> {
  return makeUnseen(host, path, async (folder) => {
    await host.makeDirectory(folder, { mode });
    await host.setMode(folder, mode);
  });
}

function missingParents(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

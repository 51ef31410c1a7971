// The container's root: read-only layers and one writable layer, joined by overlayfs.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import { describeHolders, findCopyUsers } from '../host/holders.ts';
import type { Host } from '../host/host.ts';
import { readMounts, type MountState } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import { FIT_HINT, findUnfitMount } from '../host/upper-mount.ts';
import { visibleLayers } from '../image/store.ts';
import type { OverlayStep } from '../plan/plan.ts';
import type { Op } from './op.ts';
import { escapeOption, fits, optionValue, overlayOptions, type OverlayOptions } from './overlay-options.ts';
import { quote, quoteAll } from './shell.ts';
import { RELEASE, unmount } from './unmount.ts';

export const overlay: Op<'overlay'> = {
  describe: (step) =>
    `overlay ${step.target} of ${step.lower.length} layers${step.upper === undefined ? ', read-only' : ''}`,

  async probe({ host, view }, given) {
    const step = await visible(host, given);
    const mounts = await view.mounts();
    const top = topMount(mounts, step.target);
    if (top === undefined) return { state: 'absent' };
    // A foreign mount on top of ours takes nothing from the container; `status` tells of it.
    const mount = belowOthers(mounts, top, (one) => one.type === 'overlay' && isOurs(step, one.superOptions));
    const found = mount.type === 'overlay' ? optionValue(mount.superOptions, 'lowerdir') : mount.type;
    const wanted = optionValue(overlayOptions(step).options, 'lowerdir');
    const upper = optionValue(mount.superOptions, 'upperdir');
    const differences = [
      ...(found === wanted ? [] : [{ property: 'lowerdir', wanted: wanted ?? '', found: found ?? '' }]),
      ...(upper === (step.upper === undefined ? undefined : escapeOption(step.upper))
        ? []
        : [{ property: 'upperdir', wanted: step.upper ?? 'none', found: upper ?? 'none' }]),
    ];
    return differences.length === 0
      ? { state: 'present' }
      : { state: 'drifted', differences, inPlace: false };
  },

  async check({ host }, step) {
    fittingOptions(await visible(host, step));
  },

  async apply({ host }, given) {
    const step = await visible(host, given);
    // After a crash the mount may be there already; a second one on top would hide it.
    if (topMount(await readMounts(host), step.target) !== undefined) return;
    const options = fittingOptions(step);
    await makeLinks(host, options);
    const { folder } = options;
    try {
      await runChecked(host, mountCommand(options, step), folder === undefined ? {} : { cwd: folder });
    } catch (error) {
      throw await explain(host, step, error);
    }
  },

  async revert({ host }, step) {
    let outcome: 'removed' | 'gone' = 'gone';
    while (topMount(await readMounts(host), step.target) !== undefined) {
      await unmount(host, step.target);
      outcome = 'removed';
    }
    const users = await findCopyUsers(
      host,
      ({ type, superOptions }) => type === 'overlay' && isOurs(step, superOptions),
    );
    if (users.length > 0)
      throw new OperationError(`${step.target} is held by ${describeHolders(users)}`, { hint: RELEASE });
    return { outcome };
  },

  toShell(step) {
    const options = overlayOptions(step);
    const mount = quoteAll(mountCommand(options, step));
    const { folder, links } = options;
    if (folder === undefined) return [mount];
    const link = ({ path, target }: (typeof links)[number]): string =>
      quoteAll(['ln', '-sfn', target, `${folder}/${path}`]);
    return [
      `mkdir -p -m 700 ${quote(`${folder}/l`)}`,
      ...links.map(link),
      `(cd ${quote(folder)} && ${mount})`,
    ];
  },
};

/** @throws OperationError */
function fittingOptions(step: OverlayStep): OverlayOptions {
  const options = overlayOptions(step);
  if (fits(options.options)) return options;
  throw new OperationError(`${step.lower.length} layers do not fit the mount options of ${step.target}`, {
    hint: 'the kernel takes one page (4096 bytes); use a shorter --data-dir or fewer layers',
  });
}

/** mount(8) knows of a file system that is not fit only that something is wrong. */
async function explain(host: Host, { upper }: OverlayStep, error: unknown): Promise<unknown> {
  const unfit = upper === undefined ? undefined : await findUnfitMount(host, upper);
  if (unfit === undefined || !(error instanceof OperationError)) return error;
  const { type, target } = unfit;
  return new OperationError(`overlayfs keeps no writable layer on ${type}, which is mounted on ${target}`, {
    command: error.command,
    hint: FIT_HINT,
  });
}

/** Leaves out the layers that another one hides completely: the kernel does not know of that. */
async function visible(host: Host, step: OverlayStep): Promise<OverlayStep> {
  return { ...step, lower: await visibleLayers(host, step.lower) };
}

function mountCommand({ options }: OverlayOptions, step: OverlayStep): readonly string[] {
  return ['mount', '-t', 'overlay', '-o', options, 'overlay', step.target];
}

/**
 * Makes the short links to layers. They stay: they are the store's, and `image gc` removes those whose layer is gone.
 */
export async function makeLinks(host: Host, { folder, links }: OverlayOptions): Promise<void> {
  if (folder === undefined) return;
  await host.makeDirectory(`${folder}/l`, { mode: 0o700 });
  for (const { path, target } of links) {
    const full = `${folder}/${path}`;
    if ((await host.status(full)) === undefined) {
      await host.makeSymlink(target, full).catch((error: unknown) => {
        // Another container with the same layer made the link first.
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      });
    }
    const found = await host.readLink(full);
    if (found !== target) {
      throw new OperationError(`${full} leads to ${found}, not to ${target}`, { hint: `remove ${full}` });
    }
  }
}

/**
 * Whether an overlay is this step's own: no other one has its writable layer, or its mount points if it is read-only.
 */
function isOurs({ upper, lower }: OverlayStep, superOptions: string): boolean {
  return superOptions.includes(escapeOption(upper ?? lower.at(-1) ?? ''));
}

function belowOthers(
  mounts: readonly MountState[],
  top: MountState,
  isIt: (mount: MountState) => boolean,
): MountState {
  let mount: MountState | undefined = top;
  while (mount?.target === top.target) {
    if (isIt(mount)) return mount;
    const around: number = mount.parent;
    mount = mounts.find(({ id }) => id === around);
  }
  return top;
}

// The container's root: read-only layers and one writable layer, joined by overlayfs.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readMounts } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import type { OverlayStep } from '../plan/plan.ts';
import type { Op } from './op.ts';
import { quoteAll } from './shell.ts';

export const overlay: Op<'overlay'> = {
  describe: (step) =>
    `overlay ${step.target} of ${step.lower.length} layers${step.upper === undefined ? ', read-only' : ''}`,

  async probe({ view }, step) {
    const mount = topMount(await view.mounts(), step.target);
    if (mount === undefined) return { state: 'absent' };
    const found = mount.type === 'overlay' ? optionValue(mount.superOptions, 'lowerdir') : mount.type;
    const wanted = optionValue(mountOptions(step), 'lowerdir');
    const upper = optionValue(mount.superOptions, 'upperdir');
    const differences = [
      ...(found === wanted ? [] : [{ property: 'lowerdir', wanted: wanted ?? '', found: found ?? '' }]),
      ...(upper === escaped(step.upper)
        ? []
        : [{ property: 'upperdir', wanted: step.upper ?? 'none', found: upper ?? 'none' }]),
    ];
    return differences.length === 0
      ? { state: 'present', owned: true }
      : { state: 'drifted', differences, inPlace: false };
  },

  async apply({ host }, step) {
    // After a crash the mount may be there already; a second one on top would hide it.
    if (topMount(await readMounts(host), step.target) !== undefined) return;
    if (mountOptions(step).length > 4000) {
      throw new OperationError(`${step.lower.length} layers do not fit the mount options of ${step.target}`, {
        hint: 'the kernel takes one page (4096 bytes); use a shorter --data-dir or fewer layers',
      });
    }
    await runChecked(host, mountCommand(step));
  },

  async revert({ host }, step) {
    let outcome: 'removed' | 'gone' = 'gone';
    while (topMount(await readMounts(host), step.target) !== undefined) {
      const result = await host.run(['umount', step.target]);
      if (result.status !== 0) {
        const holders = await findHolders(host, step.target);
        throw new OperationError(`cannot unmount ${step.target}: ${result.stderr.trim()}`, {
          command: { argv: result.argv, status: result.status, stderr: result.stderr },
          hint:
            holders.length === 0
              ? undefined
              : `held by ${holders.join(', ')}; end it and take the container down again`,
        });
      }
      outcome = 'removed';
    }
    return { outcome };
  },

  toShell: (step) => [quoteAll(mountCommand(step))],
};

function mountCommand(step: OverlayStep): readonly string[] {
  return ['mount', '-t', 'overlay', '-o', mountOptions(step), 'overlay', step.target];
}

function mountOptions(step: OverlayStep): string {
  // The kernel takes the topmost layer first.
  const lower = step.lower
    .toReversed()
    .map((path) => escapeOption(path))
    .join(':');
  if (step.upper === undefined || step.work === undefined) return `ro,lowerdir=${lower}`;
  return `lowerdir=${lower},upperdir=${escapeOption(step.upper)},workdir=${escapeOption(step.work)}`;
}

// overlayfs splits lowerdir at `:` and options at `,`; a backslash takes both literally.
function escapeOption(path: string): string {
  return path.replaceAll(/[\\:,]/g, (character) => `\\${character}`);
}

function escaped(path: string | undefined): string | undefined {
  return path === undefined ? undefined : escapeOption(path);
}

function optionValue(options: string, name: string): string | undefined {
  return options
    .split(/(?<!\\),/)
    .find((option) => option.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

/** Processes whose root, working folder or open files lie on the mount, as `command (pid 12)`. */
async function findHolders(host: Host, target: string): Promise<readonly string[]> {
  const holders: string[] = [];
  for (const pid of (await host.list('/proc')) ?? []) {
    if (!/^\d+$/.test(pid)) continue;
    if (await holds(host, pid, target)) {
      holders.push(`${(await host.readText(`/proc/${pid}/comm`))?.trim() ?? 'a process'} (pid ${pid})`);
    }
  }
  return holders;
}

async function holds(host: Host, pid: string, target: string): Promise<boolean> {
  try {
    const open = ((await host.list(`/proc/${pid}/fd`)) ?? []).map((fd) => `fd/${fd}`);
    for (const name of ['cwd', 'root', ...open]) {
      const path = await host.readLink(`/proc/${pid}/${name}`).catch(() => '');
      if (path === target || path.startsWith(`${target}/`)) return true;
    }
  } catch {
    // The process ended while it was looked at: it holds nothing.
  }
  return false;
}

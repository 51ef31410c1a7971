// A cgroup v2 controller switched on for the children of the root cgroup. Where systemd has not done so,
// runspec does, and switches it off again with its last user.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { CGROUP_ROOT, cgroupOf } from '../names.ts';
import type { ControllerStep } from '../plan/plan.ts';
import type { Op } from './op.ts';
import { quote } from './shell.ts';

export const controller: Op<'controller'> = {
  // A cgroup without the controller loses its limits, not its processes.
  isOutlived: true,

  describe: (step) => `cgroup controller ${step.controller} below ${step.mountpoint}`,

  async probe({ host }, step) {
    return (await isEnabled(host, step)) ? { state: 'present' } : { state: 'absent' };
  },

  async before({ host }, step) {
    return { enabled: await isEnabled(host, step) };
  },

  async apply({ host }, step) {
    if (!(await isEnabled(host, step))) await host.writeInPlace(switchOf(step), `+${step.controller}`);
  },

  async revert({ host }, step, before) {
    if (!(await isEnabled(host, step))) return { outcome: 'gone' };
    // A controller is ours to switch off only when it is recorded that it was found off.
    if (before['enabled'] !== false) return { outcome: 'kept', reason: 'it was on before', foreign: true };
    // Cgroups of this data folder are gone by now: those that are left belong to a runspec with other folders.
    const user = await findUser(host, step);
    if (user !== undefined) return { outcome: 'kept', reason: `used by the cgroup ${user}` };
    try {
      await host.writeInPlace(switchOf(step), `-${step.controller}`);
    } catch (cause) {
      // EBUSY: another cgroup hands the controller on to its own children by now.
      if ((cause as NodeJS.ErrnoException).code === 'EBUSY')
        return { outcome: 'kept', reason: 'other cgroups use it' };
      throw new OperationError(`cannot switch off ${step.controller}`, { cause });
    }
    // A cgroup that came since has found the controller on: docs/network.md, "Two data folders".
    const late = await findUser(host, step);
    if (late === undefined) return { outcome: 'removed' };
    await host.writeInPlace(switchOf(step), `+${step.controller}`);
    return { outcome: 'kept', reason: `used by the cgroup ${late}` };
  },

  toShell: (step) => [`echo ${quote(`+${step.controller}`)} > ${quote(switchOf(step))}`],
};

async function findUser(host: Host, { mountpoint }: ControllerStep): Promise<string | undefined> {
  for (const name of (await host.list(`${mountpoint}${CGROUP_ROOT}`)) ?? [])
    if ((await host.status(`${mountpoint}${cgroupOf(name)}`))?.type === 'directory') return cgroupOf(name);
  return undefined;
}

function switchOf(step: ControllerStep): string {
  return `${step.mountpoint}/cgroup.subtree_control`;
}

async function isEnabled(host: Host, step: ControllerStep): Promise<boolean> {
  return ((await host.readText(switchOf(step))) ?? '').trim().split(' ').includes(step.controller);
}

// A named network namespace below /run/netns with loopback up, as `ip netns` makes it.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import { describeHolders, findNamespaceHolders } from '../host/holders.ts';
import type { Host } from '../host/host.ts';
import { readMounts, readNetns, type LinkState } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import { netnsFile } from '../names.ts';
import type { NetnsStep } from '../plan/plan.ts';
import { dropSysctls } from '../runtime/drop-sysctls.ts';
import { waitUntil } from '../runtime/proc.ts';
import { findUnnamed } from '../runtime/unnamed-namespace.ts';
import { lines } from './host-link.ts';
import type { Op, Probe } from './op.ts';
import { quoteAll } from './shell.ts';
import { RELEASE } from './unmount.ts';

export const netns: Op<'netns'> = {
  describe: (step) => `network namespace ${step.name}`,

  async probe({ host, view, dataDir, container }, step) {
    const [found, pid] = await Promise.all([
      view.netns(step.name),
      findUnnamed(host, dataDir, container, step.name),
    ]);
    if (pid !== undefined) {
      const what = found === undefined ? 'missing' : 'of another namespace';
      return {
        state: 'drifted',
        inPlace: true,
        heldBy: 'process',
        differences: [
          {
            property: 'name',
            wanted: netnsFile(step.name),
            found: `${what}, and process ${pid} is in the namespace`,
          },
        ],
      };
    }
    if (found === undefined) return { state: 'absent' };
    const loopback = found.links.find((link) => link.name === 'lo');
    const drifted = (wanted: string, is: string): Probe => ({
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'lo', wanted, found: is }],
    });
    if (loopback?.up !== true) return drifted('up', 'down');
    return hasLocalhost(loopback) ? { state: 'present' } : drifted(LOCALHOST, 'missing');
  },

  async apply({ host }, step) {
    if (!(await isMounted(host, step))) {
      // A file without its mount is what a kill in the middle of `ip netns add` leaves.
      await host.removeFile(netnsFile(step.name));
      // The ip that runs already for the host's network does this batch: runspec starts no other one.
      const stdin = lines([`netns add ${step.name}`, `netns exec ${step.name} ip link set lo up`]);
      await runChecked(host, ['ip', '-batch', '-'], { stdin });
    } else await raiseLoopback(host, step);
  },

  async update({ host, dataDir, container }, step, former) {
    const pid = await findUnnamed(host, dataDir, container, step.name);
    if (pid !== undefined) {
      // A kill between these two leaves the namespace without a name, as it was found.
      await removeName(host, step);
      await runChecked(host, ['ip', 'netns', 'attach', step.name, String(pid)]);
    } else if (!(await isMounted(host, step)))
      throw new OperationError(`the process in the network namespace of ${container} has just ended`, {
        hint: 'apply it again',
      });
    await raiseLoopback(host, step);
    // The namespace outlives the process, and others may be in it: a dropped sysctl would stay as it was set.
    const dropped = (former.sysctls ?? []).filter((name) => step.sysctls?.includes(name) !== true);
    if (dropped.length > 0) await dropSysctls(host, netnsFile(step.name), dropped);
  },

  async revert({ host }, step) {
    if ((await host.status(netnsFile(step.name))) === undefined) return { outcome: 'gone' };
    await removeName(host, step);
    return { outcome: 'removed' };
  },

  toShell: (step) => [
    quoteAll(['ip', 'netns', 'add', step.name]),
    quoteAll(['ip', '-n', step.name, 'link', 'set', 'lo', 'up']),
  ],
};

async function isMounted(host: Host, step: NetnsStep): Promise<boolean> {
  return topMount(await readMounts(host), netnsFile(step.name)) !== undefined;
}

/** The kernel gives it to a loopback without an address that goes up (devinet.c, inetdev_event), and not again. */
const LOCALHOST = '127.0.0.1/8';

function hasLocalhost({ addresses }: LinkState): boolean {
  return addresses.some(({ address }) => address === '127.0.0.1');
}

async function raiseLoopback(host: Host, { name }: NetnsStep): Promise<void> {
  await runChecked(host, ['ip', '-n', name, 'link', 'set', 'lo', 'up']);
  const loopback = (await readNetns(host, netnsFile(name)))?.links.find((link) => link.name === 'lo');
  if (loopback !== undefined && !hasLocalhost(loopback))
    await runChecked(host, ['ip', '-n', name, 'addr', 'add', LOCALHOST, 'dev', 'lo']);
}

/** @throws OperationError when a process is in the namespace that has the name. */
async function removeName(host: Host, step: NetnsStep): Promise<void> {
  const path = netnsFile(step.name);
  if (await isMounted(host, step)) {
    await expectFree(host, path);
    await runChecked(host, ['ip', 'netns', 'delete', step.name]);
  } else await host.removeFile(path);
}

/** Time for processes that were just killed to leave the namespace. */
const LEAVE_MS = 2000;

/** Waits until nobody holds the namespace: without its name it would live on unseen. @throws OperationError */
async function expectFree(host: Host, path: string): Promise<void> {
  let holders = await findNamespaceHolders(host, path);
  if (holders.length === 0) return;
  const isFree = await waitUntil(host, LEAVE_MS, async () => {
    // A look at the whole host takes a second with 100,000 open files: only known holders are checked until they go.
    if ((await findNamespaceHolders(host, path, holders)).length > 0) return false;
    holders = await findNamespaceHolders(host, path);
    return holders.length === 0;
  });
  if (isFree) return;
  throw new OperationError(`the network namespace ${path} is held by ${describeHolders(holders)}`, {
    hint: RELEASE,
  });
}

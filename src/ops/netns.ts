// A named network namespace below /run/netns with loopback up, as `ip netns` makes it.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import { describeHolders, findNamespaceHolders } from '../host/holders.ts';
import type { Host } from '../host/host.ts';
import { NETNS_FOLDER, readMounts } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import type { NetnsStep } from '../plan/plan.ts';
import { lines } from './bridge.ts';
import type { Op } from './op.ts';
import { quoteAll } from './shell.ts';
import { RELEASE } from './unmount.ts';

export const netns: Op<'netns'> = {
  describe: (step) => `network namespace ${step.name}`,

  async probe({ view }, step) {
    const found = await view.netns(step.name);
    if (found === undefined) return { state: 'absent' };
    const loopback = found.links.find((link) => link.name === 'lo');
    if (loopback?.up === true) return { state: 'present', owned: true };
    return {
      state: 'drifted',
      inPlace: true,
      differences: [{ property: 'lo', wanted: 'up', found: 'down' }],
    };
  },

  async apply({ host }, step) {
    const path = `${NETNS_FOLDER}/${step.name}`;
    const mounted = topMount(await readMounts(host), path) !== undefined;
    if (!mounted) {
      // A file without its mount is what a kill in the middle of `ip netns add` leaves.
      await host.removeFile(path);
      // One batch: the ip that knows the host's network does it, and no other is started by us.
      const stdin = lines([`netns add ${step.name}`, `netns exec ${step.name} ip link set lo up`]);
      await runChecked(host, ['ip', '-batch', '-'], { stdin });
    } else await raiseLoopback(host, step);
  },

  async update({ host }, step) {
    await raiseLoopback(host, step);
  },

  async revert({ host }, step) {
    const path = `${NETNS_FOLDER}/${step.name}`;
    if ((await host.status(path)) === undefined) return { outcome: 'gone' };
    const mounted = topMount(await readMounts(host), path) !== undefined;
    if (mounted) {
      await expectFree(host, path);
      await runChecked(host, ['ip', 'netns', 'delete', step.name]);
    } else await host.removeFile(path);
    return { outcome: 'removed' };
  },

  toShell: (step) => [
    quoteAll(['ip', 'netns', 'add', step.name]),
    quoteAll(['ip', '-n', step.name, 'link', 'set', 'lo', 'up']),
  ],
};

async function raiseLoopback(host: Host, { name }: NetnsStep): Promise<void> {
  await runChecked(host, ['ip', '-n', name, 'link', 'set', 'lo', 'up']);
}

/** For processes that were just killed to leave the namespace. */
const LEAVE_MS = 2000;

/** Without its name a namespace that somebody holds would live on unseen. */
async function expectFree(host: Host, path: string): Promise<void> {
  for (let waited = 0; ; waited += 20) {
    const holders = await findNamespaceHolders(host, path);
    if (holders.length === 0) return;
    if (waited >= LEAVE_MS)
      throw new OperationError(`the network namespace ${path} is held by ${describeHolders(holders)}`, {
        hint: RELEASE,
      });
    await host.sleep(20);
  }
}

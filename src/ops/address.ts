// The address and default route of the interface inside the container's network namespace.
import { runChecked } from '../host/commands.ts';
import { NETNS_FOLDER } from '../host/kernel-view.ts';
import type { AddressStep } from '../plan/plan.ts';
import { lines } from './bridge.ts';
import type { Difference, Op } from './op.ts';

export const address: Op<'address'> = {
  describe: (step) => `address ${step.address} on ${step.interface}, default route by ${step.gateway}`,

  async probe({ view }, step) {
    const inside = await view.netns(step.netns);
    const link = inside?.links.find((one) => one.name === step.interface);
    if (inside === undefined || link === undefined) return { state: 'absent' };
    const differences: Difference[] = [];
    const found = link.addresses
      .filter((one) => one.family === 'inet')
      .map((one) => `${one.address}/${one.prefix}`);
    if (!found.includes(step.address)) {
      differences.push({ property: 'address', wanted: step.address, found: found.join(', ') || 'none' });
    }
    if (!link.up) differences.push({ property: 'state', wanted: 'up', found: 'down' });
    const route = inside.routes.find((one) => one.destination === 'default');
    if (route?.gateway !== step.gateway) {
      differences.push({ property: 'default route', wanted: step.gateway, found: route?.gateway ?? 'none' });
    }
    if (differences.length === 0) return { state: 'present', owned: true };
    // A fresh interface has none of the three.
    return differences.length === 3 ? { state: 'absent' } : { state: 'drifted', differences, inPlace: true };
  },

  async apply({ host }, step) {
    await runChecked(host, ['ip', '-n', step.netns, '-batch', '-'], { stdin: lines(commands(step)) });
  },

  async update({ host }, step, former) {
    const stale = former.address === step.address ? [] : [`addr flush dev ${step.interface} scope global`];
    await runChecked(host, ['ip', '-n', step.netns, '-batch', '-'], {
      stdin: lines([...stale, ...commands(step)]),
    });
  },

  // The address goes with its interface, and that with the veth pair.
  async revert({ host }, step) {
    const inside = await host.status(`${NETNS_FOLDER}/${step.netns}`);
    return { outcome: inside === undefined ? 'gone' : 'removed' };
  },

  toShell: (step) => commands(step).map((line) => `ip -n ${step.netns} ${line}`),
};

// `replace` makes each line repeatable after a crash.
function commands(step: AddressStep): readonly string[] {
  return [
    `addr replace ${step.address} dev ${step.interface}`,
    `link set dev ${step.interface} up`,
    `route replace default via ${step.gateway} dev ${step.interface}`,
  ];
}

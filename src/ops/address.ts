// The address and default route of the interface inside the container's network namespace.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readNetns, type LinkState } from '../host/kernel-view.ts';
import { netnsFile } from '../names.ts';
import type { AddressStep } from '../plan/plan.ts';
import { contains, parseAddress, parseBlock } from '../plan/ipv4.ts';
import { readInside } from '../runtime/unnamed-namespace.ts';
import { announce } from './announce.ts';
import { routeDifferences, routeLine } from './connected-routes.ts';
import { disableIpv6, lines } from './host-link.ts';
import type { Difference, Op } from './op.ts';

export const address: Op<'address'> = {
  describe: (step) => {
    const [address, gateway] = [both(step.address, step.address6), both(step.gateway, step.gateway6)];
    return `address ${address} on ${step.interface}, default route by ${gateway}`;
  },

  async probe(context, step) {
    const inside = await readInside(context, step.netns);
    const link = inside?.links.find((one) => one.name === step.interface);
    if (inside === undefined || link === undefined) return { state: 'absent' };
    const differences: Difference[] = [];
    const compare = (property: string, wanted: string | undefined, all: readonly string[]): void => {
      if (wanted === undefined || all.includes(wanted)) return;
      differences.push({ property, wanted, found: all.join(', ') || 'none' });
    };
    const found = (family: string): readonly string[] =>
      link.addresses
        .filter((one) => one.family === family && !one.address.startsWith('fe80:'))
        .map((one) => `${one.address}/${one.prefix}`);
    const gateways = inside.routes.flatMap((route) =>
      route.destination === 'default' && route.gateway !== undefined ? [route.gateway] : [],
    );
    compare('address', step.address, found('inet'));
    compare('address6', step.address6, found('inet6'));
    if (!link.up) differences.push({ property: 'state', wanted: 'up', found: 'down' });
    differences.push(...routeDifferences(link, addressesOf(step), inside.routes));
    compare(
      'default route',
      step.gateway,
      gateways.filter((one) => !one.includes(':')),
    );
    compare(
      'default route6',
      step.gateway6,
      gateways.filter((one) => one.includes(':')),
    );
    if (differences.length === 0) return { state: 'present' };
    // A fresh interface lacks every one of these: it counts as absent, not as drifted.
    const all = step.address6 === undefined ? 3 : 5;
    return differences.length === all
      ? { state: 'absent' }
      : { state: 'drifted', differences, inPlace: true };
  },

  async apply({ host, view }, step) {
    await runInside(host, step, commands(step));
    // A container that is gone may have had it. On a bridge that is new nobody knows of that.
    if ((await view.links()).some((link) => mayBeOf(link, step))) await announceAll(host, step);
  },

  async update({ host }, step, former) {
    const isSame = former.address === step.address && (former.address6 ?? step.address6) === step.address6;
    const stale = isSame ? [] : [`addr flush dev ${step.interface} scope global`];
    // The IPv6 default route, unlike an IPv4 one, stays when the addresses go.
    if (former.address6 !== undefined && step.address6 === undefined)
      await runChecked(host, ['ip', '-n', step.netns, '-6', 'route', 'flush', 'default']);
    const wanted = [...addressLines(step), ...connectedLines(step), ...defaultLines(step)];
    await runInside(host, step, [...stale, ...wanted]);
    // Somebody else may have had it a moment ago.
    if (!isSame) await announceAll(host, step);
  },

  // The address goes with its interface, and that with the veth pair.
  async revert({ host }, step) {
    const inside = await host.status(netnsFile(step.netns));
    return { outcome: inside === undefined ? 'gone' : 'removed' };
  },

  toShell: (step) => commands(step).map((line) => `ip -n ${step.netns} ${line}`),
};

/** Whether the link, which was there before, can be the bridge of the container: one in its subnet, or without addresses. */
function mayBeOf({ kind, addresses }: LinkState, { address }: AddressStep): boolean {
  const subnet = parseBlock(address);
  const known = addresses.filter(({ family }) => family === 'inet');
  return (
    kind === 'bridge' &&
    (known.length === 0 ||
      subnet === undefined ||
      known.some((one) => contains(subnet, parseAddress(one.address) ?? -1)))
  );
}

/** What the kernel says of a link whose disable_ipv6 is set (addrconf.c, ipv6_add_addr), EACCES before Linux 5.19. */
const IPV6_OFF = /IPv6 is disabled on this device|Permission denied/;

/** Only a refusal tells without another program that somebody has switched IPv6 off on the interface. */
async function runInside(host: Host, step: AddressStep, wanted: readonly string[]): Promise<void> {
  const add = (): Promise<unknown> =>
    runChecked(host, ['ip', '-n', step.netns, '-batch', '-'], { stdin: lines(wanted) });
  try {
    await add();
  } catch (error) {
    const said = error instanceof OperationError ? (error.command?.stderr ?? '') : '';
    if (step.address6 === undefined || !IPV6_OFF.test(said)) throw error;
    const enter = ['nsenter', `--net=${netnsFile(step.netns)}`, '--'];
    await runChecked(host, [...enter, 'tee', disableIpv6(step.interface)], { stdin: '0' });
    await add();
  }
}

async function announceAll(host: Host, step: AddressStep): Promise<void> {
  const inside = await readNetns(host, netnsFile(step.netns));
  const link = inside?.links.find((one) => one.name === step.interface);
  if (link !== undefined) await announce(host, { ...step, mac: link.mac, mtu: link.mtu });
}

function commands(step: AddressStep): readonly string[] {
  return [...addressLines(step), ...defaultLines(step)];
}

// `replace` makes each line repeatable after a crash.
function addressLines(step: AddressStep): readonly string[] {
  return [
    `addr replace ${step.address} dev ${step.interface}`,
    `link set dev ${step.interface} up`,
    // `nodad`: without duplicate address detection the address can be used at once.
    ...(step.address6 === undefined ? [] : [`addr replace ${step.address6} dev ${step.interface} nodad`]),
  ];
}

/** An address that was there gets its lost route back by no `addr replace`, and without it there is no way by a gateway. */
function connectedLines(step: AddressStep): readonly string[] {
  return addressesOf(step).map((one) => routeLine('replace', one, step.interface));
}

function defaultLines(step: AddressStep): readonly string[] {
  const gateways = [step.gateway, ...(step.address6 === undefined ? [] : [step.gateway6])];
  return gateways.map((gateway) => `route replace default via ${gateway} dev ${step.interface}`);
}

function addressesOf({ address, address6 }: AddressStep): readonly string[] {
  return address6 === undefined ? [address] : [address, address6];
}

function both(one: string, other: string | undefined): string {
  return other === undefined ? one : `${one} and ${other}`;
}

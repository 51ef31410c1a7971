// A veth pair: one end on the host (a port of the bridge, or point to point with an address of its own),
// the other inside the container's network namespace.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readHostRoutes } from '../host/host-routes.ts';
import { readLinks, type LinkState } from '../host/kernel-view.ts';
import { IPV6_MIN_MTU } from '../load/ipv6.ts';
import { macOfHostEnd } from '../plan/check-mac.ts';
import { OURS } from '../names.ts';
import type { VethStep } from '../plan/plan.ts';
import { readInside } from '../runtime/unnamed-namespace.ts';
import {
  addAddress,
  advertisementDifference,
  allowForwarding,
  allowIpv6,
  forwardingDifferences,
  ipv6Difference,
  lacksLinkLocal,
  lines,
  linkLocalOf,
  refuseAdvertisements,
  refuseAdvertisementsLine,
  restoreDefaults,
  routeLocalnet,
} from './host-link.ts';
import { announce, isAheadOf } from './announce.ts';
import { fitMtu } from './bridge-mtu.ts';
import { routeDifferences, routeLine, withoutRoute } from './connected-routes.ts';
import { deleteLink } from './delete-link.ts';
import type { Difference, Op, OpContext } from './op.ts';
import { removeAddresses } from './remove-addresses.ts';
import { quote } from './shell.ts';

export const veth: Op<'veth'> = {
  describe: (step) => `veth ${step.link} <-> ${step.interface} in ${step.netns}`,

  async probe(context, step) {
    const { host, view } = context;
    const [outside, inside] = await Promise.all([view.link(step.link), readInside(context, step.netns)]);
    const peer = inside?.links.find((link) => link.name === step.interface);
    if (outside === undefined && peer === undefined) return { state: 'absent' };
    if (outside === undefined || peer === undefined) {
      const renamed =
        outside === undefined ? (await view.links()).find((link) => isHostEnd(link, step)) : undefined;
      const wanted = outside === undefined ? step.link : step.interface;
      const found = renamed?.name ?? 'missing';
      return { state: 'drifted', inPlace: false, differences: [{ property: 'link', wanted, found }] };
    }
    const compare = (property: string, wanted: string, found: string): readonly Difference[] =>
      wanted === found ? [] : [{ property, wanted, found }];
    const localnet =
      step.address === undefined
        ? '1'
        : ((await host.readText(routeLocalnet(step.link)))?.trim() ?? 'missing');
    const differences = [
      ...compare('master', step.bridge ?? 'none', outside.master ?? 'none'),
      ...(step.bridge === undefined ? [] : compare('hairpin', hairpin(step), outside.hairpin ? 'on' : 'off')),
      ...compare('state', 'up', outside.up ? 'up' : 'down'),
      ...compare('port', 'enabled', isCutOff(outside, peer, await view.links()) ? 'disabled' : 'enabled'),
      ...compare('mtu', String(step.mtu), String(outside.mtu)),
      ...compare(`${step.interface} mtu`, String(step.mtu), String(peer.mtu)),
      ...compare(`${step.interface} mac`, step.mac, peer.mac),
      ...compare('alias', step.alias, outside.alias ?? 'none'),
      ...compare('route_localnet', '1', localnet),
      ...(step.address === undefined
        ? []
        : [
            ...(await advertisementDifference(host, step.link)),
            ...(await forwardingDifferences(host, step.link, step.address6 !== undefined)),
          ]),
      ...(step.address6 === undefined ? [] : await ipv6Difference(host, step.link)),
      ...addressesOf(step)
        .filter((wanted) => !outside.addresses.some((one) => `${one.address}/${one.prefix}` === wanted))
        .map((wanted) => ({ property: 'address', wanted, found: 'missing' })),
      ...routeDifferences(outside, addressesOf(step), await view.hostRoutes()),
    ];
    return differences.length === 0 ? { state: 'present' } : { state: 'drifted', differences, inPlace: true };
  },

  async apply(context, step) {
    const { host, view } = context;
    // A link that the view does not have needs no second look: ip itself refuses to make one twice.
    const known = await view.links();
    const mayBeThere = known.some((link) => link.name === step.link || isHostEnd(link, step));
    const links = mayBeThere ? await readLinks(host) : known;
    const existing = links.find((link) => link.name === step.link);
    if (existing !== undefined && !isHostEnd(existing, step)) {
      throw new OperationError(
        `the link ${step.link} belongs to another: ${existing.alias ?? existing.kind ?? 'a device'}`,
        {
          hint: `remove it (ip link del ${step.link}), or rename the container`,
        },
      );
    }
    // Half of a pair left by a kill, or one with another name, is removed first: the kernel removes both ends together.
    await removePair(context, links, step);
    await runChecked(host, ['ip', '-batch', '-'], {
      stdin: lines([...createLines(step), ...keepLines(step, links)]),
    });
    await setUpHostEnd(host, step);
    await fitBridge(context, step, ({ mtu }) => mtu === step.mtu);
  },

  async update(context, step, former) {
    const { host } = context;
    const links = await readLinks(host);
    const link = links.find((one) => one.name === step.link);
    const found = link?.addresses.map((one) => `${one.address}/${one.prefix}`) ?? [];
    const wanted = addressesOf(step);
    // IPv6 addresses that the new mtu leaves no room for are gone before they can be taken away.
    const staying6 = step.mtu >= IPV6_MIN_MTU;
    const peer = (await context.view.netns(step.netns))?.links.find(({ name }) => name === step.interface);
    const lost = link === undefined ? [] : withoutRoute(link, wanted, await readHostRoutes(host));
    const stale = addressesOf(former).filter(
      (one) => !wanted.includes(one) && found.includes(one) && (staying6 || !one.includes(':')),
    );
    await runChecked(host, [
      'ip',
      '-n',
      step.netns,
      'link',
      'set',
      'dev',
      step.interface,
      'mtu',
      String(step.mtu),
      'address',
      step.mac,
    ]);
    if (step.address6 !== undefined) await allowIpv6(host, step.link);
    await runChecked(host, ['ip', '-batch', '-'], {
      stdin: lines([
        ...(step.address6 === undefined || link === undefined || !lacksLinkLocal(link)
          ? []
          : [addAddress(linkLocalOf(link.mac), step.link)]),
        `link set dev ${step.link} alias ${step.alias} mtu ${step.mtu} ${step.bridge === undefined ? 'nomaster' : `master ${step.bridge}`} up`,
        ...keepLines(step, links),
        ...portLines(step),
        ...(link !== undefined && isCutOff(link, peer, links)
          ? [`link set dev ${step.link} type bridge_slave state 3`]
          : []),
        ...wanted.filter((one) => !found.includes(one)).map((one) => addAddress(one, step.link)),
        ...lost.map((one) => routeLine('append', one, step.link)),
        ...(former.mac === step.mac ? [] : forgetLines(step)),
      ]),
    });
    if (peer !== undefined && peer.mac !== step.mac && !isAheadOf(step.mac, peer)) await announce(host, step);
    const staying = [...wanted, ...found].filter((one) => !stale.includes(one));
    await removeAddresses(host, { link: step.link, stale, staying, isOurs: true });
    if (former.address !== undefined && step.address === undefined) await restoreDefaults(host, step.link);
    await setUpHostEnd(host, step);
    // The bridge may have been fitted to the former mtu since the view was read.
    await fitBridge(context, step, ({ mtu }) => mtu === step.mtu && mtu === former.mtu);
  },

  async revert(context, step) {
    const links = await context.view.links();
    const named = links.find((link) => link.name === step.link);
    if (named?.alias !== undefined && named.alias !== step.alias) {
      return { outcome: 'kept', reason: `its alias ${named.alias} says that it belongs to another` };
    }
    const outcome = await removePair(context, links, step);
    const port = links.find((link) => isHostEnd(link, step));
    const ports = links.filter((one) => port !== undefined && one.master === port.master);
    await fitBridge(context, step, () => ports.every(({ mtu }) => mtu <= (port?.mtu ?? 0)));
    return { outcome };
  },

  toShell: (step) => [
    ...createLines(step).map((line) => `ip ${line}`),
    ...(step.address === undefined
      ? []
      : [`echo 1 > ${quote(routeLocalnet(step.link))}`, refuseAdvertisementsLine(step.link)]),
  ],
};

/**
 * Fits our bridge's mtu to its ports, unless `isFit` says that the bridge as it was before needs nothing; a bridge that
 * the view does not have yet is new, and fits.
 */
async function fitBridge(
  { host, view }: OpContext,
  step: VethStep,
  isFit: (before: LinkState) => boolean,
): Promise<void> {
  if (step.bridge === undefined) return;
  const bridge = await view.link(step.bridge);
  if (bridge?.alias !== OURS) return;
  if (!isFit(bridge)) await fitMtu(host, step.bridge);
  // A bridge that was too narrow for IPv6 may have it again by now, with all its settings back at their defaults.
  if (bridge.mtu < IPV6_MIN_MTU) await refuseAdvertisements(host, step.bridge);
}

/** Whether somebody has disabled the port. The kernel does so itself when the port, its other end or the bridge is down. */
function isCutOff(port: LinkState, peer: LinkState | undefined, links: readonly LinkState[]): boolean {
  const bridge = links.find(({ name }) => name === port.master);
  return port.disabled && port.up && peer?.up === true && bridge?.up === true;
}

/**
 * Whether the link is the step's host end, by its name or by the alias that it keeps under another name. A kill may
 * have left it without an alias.
 */
function isHostEnd(link: LinkState, step: VethStep): boolean {
  if (link.kind !== 'veth') return false;
  return link.name === step.link ? (link.alias ?? step.alias) === step.alias : link.alias === step.alias;
}

/** Removes the pair, whatever its ends are called by now: the kernel removes both with one of them. */
async function removePair(
  { host, view }: OpContext,
  links: readonly LinkState[],
  step: VethStep,
): Promise<'removed' | 'gone'> {
  const ends = links.filter((link) => isHostEnd(link, step));
  const outcomes: ('removed' | 'gone')[] = [];
  for (const { name } of ends) outcomes.push(await deleteLink(host, name));
  if (outcomes.includes('removed')) return 'removed';
  // A host end that the view still has is gone by now, and has taken the other end along.
  if ((await view.links()).some((link) => isHostEnd(link, step))) return 'gone';
  // A host end that has lost name and alias is found by the other end alone.
  const inside = await view.netns(step.netns);
  const peer = inside?.links.find((link) => link.name === step.interface && link.kind === 'veth');
  return peer === undefined ? 'gone' : deleteLink(host, peer.name, step.netns);
}

/** Sets up the host end of a point-to-point pair, which takes the place of a bridge. */
async function setUpHostEnd(host: Host, step: VethStep): Promise<void> {
  if (step.address === undefined) return;
  await host.writeInPlace(routeLocalnet(step.link), '1');
  await refuseAdvertisements(host, step.link);
  await allowForwarding(host, step.link, step.address6 !== undefined);
}

function createLines(step: VethStep): readonly string[] {
  const mac = macOfHostEnd(step.mac);
  return [
    `link add ${step.link} address ${mac} mtu ${step.mtu} type veth peer name ${step.interface} mtu ${step.mtu} address ${step.mac} netns ${step.netns}`,
    ...(step.address6 === undefined ? [] : [addAddress(linkLocalOf(mac), step.link)]),
    `link set dev ${step.link} alias ${step.alias}${step.bridge === undefined ? '' : ` master ${step.bridge}`} up`,
    ...(step.hairpin === true ? portLines(step) : []),
    ...addressesOf(step).map((one) => addAddress(one, step.link)),
  ];
}

function addressesOf(step: VethStep): readonly string[] {
  return [step.address, step.address6].filter((one) => one !== undefined);
}

/**
 * Hairpin mode: with br_netfilter a packet that a container sends to its own published port never leaves the bridge.
 */
function portLines(step: VethStep): readonly string[] {
  return step.bridge === undefined
    ? []
    : [`link set dev ${step.link} type bridge_slave hairpin ${hairpin(step)}`];
}

/** Takes our bridge out of the link group that a runspec about to remove it has put it into (docs/network.md). */
function keepLines({ bridge }: VethStep, links: readonly LinkState[]): readonly string[] {
  const found = links.find(({ name }) => name === bridge);
  if (bridge === undefined || (found !== undefined && found.alias !== OURS)) return [];
  return [`link set dev ${bridge} group 0`];
}

/** Makes the bridge forget what it learned at this port: a neighbour may have the former MAC address by now. */
function forgetLines(step: VethStep): readonly string[] {
  return step.bridge === undefined ? [] : [`link set dev ${step.link} type bridge_slave fdb_flush`];
}

function hairpin(step: VethStep): 'on' | 'off' {
  return step.hairpin === true ? 'on' : 'off';
}

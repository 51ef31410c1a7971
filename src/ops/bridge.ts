// A bridge of runspec's own, or a foreign one to join. Ours carries the alias `runspec`; it goes with
// its last port, a foreign one is never changed beyond what joining needs and never removed.
import { OperationError } from '../errors.ts';
import { sha256 } from '../crypto.ts';
import { commandError, runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readHostRoutes } from '../host/host-routes.ts';
import { readLinks, type LinkState } from '../host/kernel-view.ts';
import { isOwned, OURS } from '../names.ts';
import type { BridgeStep } from '../plan/plan.ts';
import { findMtu } from './bridge-mtu.ts';
import { routeDifferences, routeLine, withoutRoute } from './connected-routes.ts';
import { addressesOf, createBridge, createLines, withLinkLocal } from './create-bridge.ts';
import { GONE } from './delete-link.ts';
import type { Before, Difference, Op, Reverted } from './op.ts';
import { removeAddresses } from './remove-addresses.ts';
import { quote } from './shell.ts';
import {
  addAddress,
  advertisementDifference,
  allowForwarding,
  allowIpv6,
  expectIpv6,
  forwardingDifferences,
  ipv6Difference,
  lacksLinkLocal,
  lines,
  refuseAdvertisements,
  refuseAdvertisementsLine,
  routeLocalnet,
} from './host-link.ts';

export const bridge: Op<'bridge'> = {
  // The step's mtu is for a new bridge: from its first port on a bridge goes by its ports.
  passive: ['mtu'],

  describe: (step) => `bridge ${step.name} ${addressesOf(step).join(' ')}`,

  async probe({ host, view }, step) {
    const link = await view.link(step.name);
    if (link === undefined) return { state: 'absent' };
    if (link.kind !== 'bridge') {
      throw new OperationError(`${step.name} is ${link.kind ?? 'a device'}, not a bridge`, {
        hint: 'choose another network.bridge',
      });
    }
    const differences = [
      ...differencesOf(link, step, await view.links()),
      ...(await routeDifference(host.readText(routeLocalnet(step.name)))),
      ...(step.address6 === undefined ? [] : await ipv6Difference(host, step.name)),
      ...(link.alias === OURS
        ? [
            ...routeDifferences(link, addressesOf(step), await view.hostRoutes()),
            ...(await advertisementDifference(host, step.name)),
            ...(await forwardingDifferences(host, step.name, step.address6 !== undefined)),
          ]
        : await macDifference(host, link, await view.links())),
    ];
    return differences.length === 0 ? { state: 'present' } : { state: 'drifted', differences, inPlace: true };
  },

  async before({ host, view }, step) {
    const link = await view.link(step.name);
    if (link === undefined || link.alias === OURS) return { existed: false };
    const localnet = (await host.readText(routeLocalnet(step.name)))?.trim() ?? '0';
    return { existed: true, addresses: showAddresses(link, ['inet', 'inet6']), wasUp: link.up, localnet };
  },

  async apply({ host, view }, step, before) {
    // A bridge that the view does not have needs no second look: ip itself refuses to make one twice.
    const absent = (await view.link(step.name)) === undefined;
    const found = absent ? [] : await readLinks(host);
    const isThere = found.some((one) => one.name === step.name);
    const links = isThere ? found : ((await createBridge(host, step)) ?? []);
    const link = links.find((one) => one.name === step.name);
    // A kill between making the bridge and naming it leaves ours without its alias.
    const nameless = link !== undefined && link.alias === undefined && before['existed'] === false;
    const claim = nameless ? [`link set dev ${step.name} alias ${OURS}`] : [];
    const keep = link === undefined || nameless ? [] : await keepMacLines(host, link, links);
    const wanted =
      link === undefined
        ? []
        : [
            ...claim,
            ...keep,
            ...mendLines(link, step, links, nameless || link.alias === OURS),
            ...(link.alias === OURS ? await routeLines(host, link, step) : []),
          ];
    if (link !== undefined && step.address6 !== undefined)
      await (link.alias === OURS ? allowIpv6 : expectIpv6)(host, step.name);
    if (wanted.length > 0) await runChecked(host, ['ip', '-batch', '-'], { stdin: lines(wanted) });
    await host.writeInPlace(routeLocalnet(step.name), '1');
    if (before['existed'] === true) return;
    await refuseAdvertisements(host, step.name);
    await allowForwarding(host, step.name, step.address6 !== undefined);
  },

  async update(context, step, former, before) {
    await bridge.apply(context, step, before);
    await bridge.reduce?.(context, former, step, before);
  },

  async reduce({ host }, step, rest, before) {
    const kept = addressesOf(rest);
    const stale = addressesOf(step).filter((one) => !kept.includes(one) && !wasThere(before, one));
    if (stale.length === 0) return;
    // Its route would go on leading the former subnet here.
    const link = (await readLinks(host)).find((one) => one.name === step.name);
    if (link !== undefined) await takeAddresses(host, link, stale);
  },

  async whyKept({ view }, step) {
    const ports = (await view.links()).filter(({ master }) => master === step.name);
    return whyUsed(ports.filter(({ alias }) => !isOwned(alias)).map(({ name }) => name));
  },

  async revert({ host, dataDir }, step, before) {
    const link = (await readLinks(host)).find((one) => one.name === step.name);
    if (link === undefined) return { outcome: 'gone' };
    const ours = link.alias === OURS || (link.alias === undefined && before['existed'] === false);
    if (before['existed'] === true || !ours) {
      await leaveForeign(host, step, link, before);
      return { outcome: 'kept', reason: 'it was there before', foreign: true };
    }
    return deleteUnlessUsed(host, step.name, dataDir);
  },

  toShell: (step) => [
    ...createLines(step).map((line) => `ip ${line}`),
    `echo 1 > ${quote(routeLocalnet(step.name))}`,
    refuseAdvertisementsLine(step.name),
  ],
};

/**
 * Deletes our bridge unless it has a port. The kernel cannot delete a bridge on that condition, but it can delete what
 * is in a link group: the bridge joins one before its ports are read, and each step that adds a port takes it out.
 */
async function deleteUnlessUsed(host: Host, name: string, dataDir: string): Promise<Reverted> {
  const listPorts = async (): Promise<readonly string[]> =>
    (await readLinks(host)).filter((one) => one.master === name).map((one) => one.name);
  // A group number of this data folder and this bridge alone.
  const group = String(Number.parseInt(sha256(`${dataDir} ${name}`).slice(0, 7), 16));
  let ports = await listPorts();
  if (ports.length === 0) {
    const marked = await host.run(['ip', 'link', 'set', 'dev', name, 'group', group]);
    if (GONE.test(marked.stderr)) return { outcome: 'gone' };
    if (marked.status !== 0) throw commandError(`cannot delete ${name}`, marked);
    ports = await listPorts();
  }
  const reason = whyUsed(ports);
  if (reason !== undefined) return { outcome: 'kept', reason };
  const result = await host.run(['ip', 'link', 'del', 'group', group]);
  if (result.status === 0) return { outcome: 'removed' };
  if (GONE.test(result.stderr)) return { outcome: 'kept', reason: 'another runspec uses it by now' };
  throw commandError(`cannot delete ${name}`, result);
}

function whyUsed(ports: readonly string[]): string | undefined {
  return ports.length === 0 ? undefined : `it still has the ports ${ports.slice(0, 3).join(', ')}`;
}

/** Puts back what joining changed. */
async function leaveForeign(host: Host, step: BridgeStep, link: LinkState, before: Before): Promise<void> {
  if (before['localnet'] === '0') await host.writeInPlace(routeLocalnet(step.name), '0');
  const added = before['addresses'] === undefined ? [] : addressesOf(step);
  await takeAddresses(
    host,
    link,
    added.filter((one) => !wasThere(before, one)),
  );
  if (before['wasUp'] === false && link.up)
    await runChecked(host, ['ip', 'link', 'set', 'dev', step.name, 'down']);
}

/** Removes those of `addresses` that the link has. */
async function takeAddresses(host: Host, link: LinkState, addresses: readonly string[]): Promise<void> {
  const all = link.addresses.map((one) => `${one.address}/${one.prefix}`);
  await removeAddresses(host, {
    link: link.name,
    stale: all.filter((one) => addresses.includes(one)),
    staying: all.filter((one) => !addresses.includes(one)),
    isOurs: link.alias === OURS,
  });
}

function wasThere(before: Before, address: string): boolean {
  return String(before['addresses'] ?? '')
    .split(', ')
    .includes(address);
}

function mendLines(
  link: LinkState,
  step: BridgeStep,
  links: readonly LinkState[],
  isOurs: boolean,
): readonly string[] {
  const mtu = link.alias === OURS ? findMtu(link, links, step.address6 !== undefined) : undefined;
  return [
    // The mtu comes first: a bridge that is too narrow for IPv6 takes no IPv6 address.
    ...(mtu === undefined ? [] : [`link set dev ${step.name} mtu ${mtu}`]),
    ...(isOurs && lacksLinkLocal(link) ? withLinkLocal(step, link.mac) : addressesOf(step))
      .filter((one) => !hasAddress(link, one))
      .map((one) => addAddress(one, step.name)),
    ...(link.up ? [] : [`link set dev ${step.name} up`]),
  ];
}

/** Lost routes of a foreign bridge are its owner's: one that we made would be left there by a `down`. */
async function routeLines(host: Host, link: LinkState, step: BridgeStep): Promise<readonly string[]> {
  const lost = withoutRoute(link, addressesOf(step), await readHostRoutes(host));
  return lost.map((one) => routeLine('append', one, step.name));
}

/** addr_assign_type of a MAC address that somebody has set: linux/netdevice.h, NET_ADDR_SET. */
const SET = '3';

/**
 * A bridge whose MAC address nobody has set takes the lowest of its ports', and none at all when the last of them goes
 * (br_stp_recalculate_bridge_id). Only its own address, set before our port comes, is still there afterwards; a bridge
 * with ports already goes by them, and comes back to theirs.
 */
async function macDifference(
  host: Host,
  link: LinkState,
  links: readonly LinkState[],
): Promise<readonly Difference[]> {
  if (link.alias === OURS || link.mac === '00:00:00:00:00:00') return [];
  if (links.some((one) => one.master === link.name)) return [];
  const assigned = (await host.readText(`/sys/class/net/${link.name}/addr_assign_type`))?.trim();
  if (assigned === SET) return [];
  return [{ property: 'mac', wanted: `${link.mac} kept`, found: `${link.mac} until it has a port` }];
}

async function keepMacLines(
  host: Host,
  link: LinkState,
  links: readonly LinkState[],
): Promise<readonly string[]> {
  const differences = await macDifference(host, link, links);
  return differences.map(() => `link set dev ${link.name} address ${link.mac}`);
}

function differencesOf(
  link: LinkState,
  step: BridgeStep,
  links: readonly LinkState[],
): readonly Difference[] {
  const mtu = link.alias === OURS ? findMtu(link, links, step.address6 !== undefined) : undefined;
  return [
    ...(link.up ? [] : [{ property: 'state', wanted: 'up', found: 'down' }]),
    ...addressesOf(step)
      .filter((one) => !hasAddress(link, one))
      .map((wanted) => {
        const [property, family] = wanted.includes(':') ? ['address6', 'inet6'] : ['address', 'inet'];
        return { property, wanted, found: showAddresses(link, [family]) };
      }),
    ...(mtu === undefined ? [] : [{ property: 'mtu', wanted: String(mtu), found: String(link.mtu) }]),
  ];
}

// route_localnet lets packets of 127.0.0.1 go to a published port's container; the guard chain keeps them on the host.
async function routeDifference(text: Promise<string | undefined>): Promise<readonly Difference[]> {
  const found = (await text)?.trim();
  return found === '1' ? [] : [{ property: 'route_localnet', wanted: '1', found: found ?? 'missing' }];
}

function hasAddress(link: LinkState, address: string): boolean {
  return link.addresses.some((one) => `${one.address}/${one.prefix}` === address);
}

function showAddresses(link: LinkState, families: readonly string[]): string {
  return (
    link.addresses
      .filter((one) => families.includes(one.family))
      .map((one) => `${one.address}/${one.prefix}`)
      .join(', ') || 'none'
  );
}

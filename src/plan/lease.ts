// Chooses gateway and address of a container in its subnet: what the spec says, else what the container has already,
// else the first that is free. Leases are derived from live containers.
import { macOf } from '../load/addresses.ts';
import type { Spec } from '../load/spec.ts';
import { macsOnBridge } from './check-mac.ts';
import { CHANGE_ALL, findElsewhere, TAKE_DOWN } from './elsewhere.ts';
import type { HostFacts } from './facts.ts';
import { givesUp } from './given-up.ts';
import { contains, hostRange, overlap, parseAddress, showAddress, showBlock, type Block } from './ipv4.ts';
import type { Lease } from './plan.ts';
import type { Problems } from './problems.ts';
import { chooseSubnet, isForeignLink, isOwnLink, ownAddressesOf, parsed } from './subnets.ts';

export function chooseLease(
  spec: Spec,
  link: string,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): Lease | undefined {
  const { network } = spec;
  const own = facts.containers[spec.name]?.lease;
  const others = Object.entries(facts.containers).flatMap(([name, container]) =>
    name === spec.name || container.lease === undefined ? [] : [{ name, lease: container.lease }],
  );
  const subnet = chooseSubnet(spec, link, facts, problems, own?.link === link ? own : undefined, together);
  if (subnet === undefined) return undefined;
  const ofForeign = network.mode === 'bridge' ? gatewaysOfForeign(link, subnet, facts) : [];
  const ofOthers = gatewayOfOthers(spec, link, subnet, facts, together);
  const elsewhere = findElsewhere(link, facts);
  const ofElsewhere = elsewhere === undefined ? undefined : existingGateway(link, subnet, facts);
  const present = ofForeign.includes(network.gateway ?? '')
    ? ofOthers
    : (ofForeign[0] ?? ofElsewhere ?? ofOthers);
  if (network.gateway !== undefined && present !== undefined && network.gateway !== present) {
    const [whose, way] = ofElsewhere === undefined ? ['', CHANGE_ALL] : [` for ${elsewhere}`, TAKE_DOWN];
    const hint =
      ofForeign.length === 0
        ? `use ${present}, or another network.bridge, or ${way}`
        : `containers go by this host: use ${present}, or another network.bridge`;
    problems.error(
      'gateway-mismatch',
      ['network', 'gateway'],
      `the gateway of ${link} is ${present}${whose}, not ${network.gateway}`,
      hint,
    );
    return undefined;
  }
  const gateway =
    network.gateway ?? existingGateway(link, subnet, facts) ?? showAddress(hostRange(subnet).first);
  if (!contains(subnet, parseAddress(gateway) ?? -1)) {
    const path = ['network', 'gateway'];
    problems.error(
      'outside-subnet',
      path,
      `gateway ${gateway} is outside the subnet ${showBlock(subnet)}`,
      'set network.subnet to the subnet of the gateway',
    );
    return undefined;
  }

  const taken = new Map([
    ...addressesElsewhere(facts),
    ...neighboursOnForeign(link, facts),
    ...addressesOfForeign(link, facts).filter(([one]) => one !== gateway),
    ...others
      .filter((other) => overlap(parsed(other.lease.subnet), subnet))
      .map((other) => [other.lease.address, other.name] as const),
  ]);
  const kept = network.address ?? keepOwn(own, subnet, gateway, taken);
  const macs = macsOnBridge(spec, { link, gateway }, facts, together);
  const isFree = (one: string): boolean =>
    one !== gateway && !taken.has(one) && (network.mac !== undefined || !macs.has(macOf(one)));
  const address = kept ?? firstFree(subnet, isFree);
  if (address === undefined) {
    const path = network.subnet === undefined ? ['network'] : ['network', 'subnet'];
    problems.error(
      'subnet-full',
      path,
      `no free address is left in ${showBlock(subnet)}`,
      'take containers down, or choose a larger network.subnet',
    );
    return undefined;
  }
  const wrong = whyNoHost(subnet, address);
  if (wrong !== undefined) {
    const path = ['network', 'address'];
    problems.error(
      'outside-subnet',
      path,
      `address ${address} is ${wrong} ${showBlock(subnet)}`,
      'choose another address, or set network.subnet to its subnet',
    );
    return undefined;
  }
  const user = taken.get(address);
  const holder =
    user !== undefined && !givesUp(user, 'address', address, together)
      ? user
      : address === gateway
        ? `the gateway of ${link}`
        : undefined;
  if (holder !== undefined) {
    problems.error(
      'address-taken',
      ['network', 'address'],
      `address ${address} is taken by ${holder}`,
      'leave network.address out to get a free one',
    );
    return undefined;
  }
  if (kept === undefined && hasStrangers(link, facts))
    problems.warning(
      'address-guessed',
      ['network', 'bridge'],
      `${address} is the first address on ${link} that nobody is known to have; others there may have it all the same`,
      'set network.address to one that is yours to use',
    );
  return { link, subnet: showBlock(subnet), address, gateway };
}

/** Addresses, of both families, of containers that other data folders or nobody tells of: by them packets are let pass. */
export function addressesElsewhere(facts: HostFacts): readonly (readonly [string, string])[] {
  return facts.addressesElsewhere.map(({ address, container }) => [address, container] as const);
}

/** Whether a foreign bridge has ports other than our containers: other machines may be behind them. */
function hasStrangers(link: string, facts: HostFacts): boolean {
  return (
    isForeignLink(link, facts) &&
    facts.network.links.some((one) => one.master === link && !isOwnLink(one.name, facts))
  );
}

/** Known machines on a foreign bridge, without our containers, which the records name. */
function neighboursOnForeign(link: string, facts: HostFacts): readonly (readonly [string, string])[] {
  if (!isForeignLink(link, facts)) return [];
  const ours = new Set(Object.values(facts.containers).map(({ lease }) => lease?.address));
  return (facts.network.neighbours ?? []).flatMap((one) =>
    one.link === link && !ours.has(one.address) ? [[one.address, `a machine on ${link}`] as const] : [],
  );
}

/** Addresses of a foreign bridge itself, of both families: no container on it can have them. */
export function addressesOfForeign(link: string, facts: HostFacts): readonly (readonly [string, string])[] {
  if (isOwnLink(link, facts)) return [];
  return facts.network.addresses
    .filter((one) => one.link === link)
    .map(({ address }) => [address, `${link} itself`] as const);
}

/**
 * Addresses that the host has in the subnet on a foreign bridge. It takes no other one there as the gateway: that may
 * be a router's.
 */
function gatewaysOfForeign(link: string, subnet: Block, facts: HostFacts): readonly string[] {
  return ownAddressesOf(link, facts).flatMap(({ address }) =>
    contains(subnet, parseAddress(address) ?? -1) ? [address] : [],
  );
}

function whyNoHost(subnet: Block, address: string): string | undefined {
  const value = parseAddress(address) ?? -1;
  const { first, last } = hostRange(subnet);
  if (!contains(subnet, value)) return 'outside the subnet';
  return value < first || value > last ? 'the network or broadcast address of' : undefined;
}

/** Gateway of the containers on the link that keep it in this call; a bridge has one gateway. */
function gatewayOfOthers(
  spec: Spec,
  link: string,
  subnet: Block,
  facts: HostFacts,
  together: readonly Spec[],
): string | undefined {
  const { gateway } = spec.network;
  const moving = new Set(
    together.filter(({ network }) => network.gateway === gateway).map(({ name }) => name),
  );
  return Object.entries(facts.containers).find(
    ([name, { lease }]) =>
      name !== spec.name && !moving.has(name) && lease?.link === link && lease.subnet === showBlock(subnet),
  )?.[1].lease?.gateway;
}

function existingGateway(link: string, subnet: Block, facts: HostFacts): string | undefined {
  const neighbour = Object.values(facts.containers).find((container) => container.lease?.link === link);
  const address = facts.network.addresses.find(
    (one) => one.link === link && contains(subnet, parseAddress(one.address) ?? -1),
  );
  return (
    address?.address ?? (neighbour?.lease?.subnet === showBlock(subnet) ? neighbour.lease.gateway : undefined)
  );
}

function keepOwn(
  own: Lease | undefined,
  subnet: Block,
  gateway: string,
  taken: ReadonlyMap<string, string>,
): string | undefined {
  if (own === undefined || own.address === gateway || taken.has(own.address)) return undefined;
  return contains(subnet, parseAddress(own.address) ?? -1) ? own.address : undefined;
}

function firstFree(subnet: Block, isFree: (address: string) => boolean): string | undefined {
  const { first, last } = hostRange(subnet);
  for (let value = first; value <= last; value += 1) {
    const address = showAddress(value);
    if (isFree(address)) return address;
  }
  return undefined;
}

// Chooses the subnet of a container's link: what the spec says, else what the link has already, else the first that is
// free; checked against the host's own routes.
import type { Spec } from '../load/spec.ts';
import { isOwned } from '../names.ts';
import { CHANGE_ALL, findElsewhere, TAKE_DOWN } from './elsewhere.ts';
import type { HostFacts } from './facts.ts';
import { contains, overlap, parseAddress, parseBlock, showBlock, type Block } from './ipv4.ts';
import type { Lease } from './plan.ts';
import type { Problems } from './problems.ts';

/** Pool of subnets for specs that name none. */
const POOL = { network: parseAddress('10.209.0.0') ?? 0, count: 256, prefix: 24 };

export function chooseSubnet(
  spec: Spec,
  link: string,
  facts: HostFacts,
  problems: Problems,
  own: Lease | undefined,
  together: readonly Spec[],
): Block | undefined {
  const { network } = spec;
  const staying = neighbourOn(link, facts, spec.name, together);
  const inUse = usedBlocks(link, facts, spec.name);
  const path = network.subnet === undefined ? ['network'] : ['network', 'subnet'];
  const onLink = blockOfLink(link, facts, spec.name);
  if (network.subnet !== undefined) {
    const wanted = parsed(network.subnet);
    const clash = inUse.find((one) => overlap(one.block, wanted));
    if (clash !== undefined) {
      problems.error(
        'subnet-overlap',
        path,
        `subnet ${network.subnet} overlaps ${clash.what}`,
        'choose another subnet, or leave it out, with address and gateway: then a free one is taken',
      );
      return undefined;
    }
    const differs =
      onLink !== undefined && showBlock(onLink) !== showBlock(wanted) && spec.network.mode === 'bridge';
    const isFixed = ownAddressesOf(link, facts).some(({ address }) => parseAddress(address) !== undefined);
    // Those who have brought it to a bridge may change it, all of them together.
    const elsewhere = findElsewhere(link, facts);
    const user = elsewhere ?? staying?.name;
    if (differs && (isFixed || user !== undefined || own?.subnet !== showBlock(onLink))) {
      const whose = isFixed || user === undefined ? '' : ` for ${user}`;
      const all = whose === '' ? '' : `, or ${elsewhere === undefined ? CHANGE_ALL : TAKE_DOWN}`;
      problems.error(
        'subnet-mismatch',
        path,
        `${link} already carries ${showBlock(onLink)}${whose}, not ${network.subnet}`,
        `use ${showBlock(onLink)}, or another network.bridge${all}`,
      );
      return undefined;
    }
    return wanted;
  }
  const around = blockAround(spec);
  if (onLink !== undefined && !isLeft(onLink, around, spec, link, facts, together)) return onLink;
  // The former subnet is tried first: after a reboot the container comes back with the same address.
  const former = own === undefined ? [] : [parsed(own.subnet)];
  const candidates = around === undefined ? [...former, ...poolBlocks()] : [around];
  const free = candidates.find((candidate) => !inUse.some((one) => overlap(one.block, candidate)));
  if (free === undefined) {
    const clash = around === undefined ? undefined : inUse.find((one) => overlap(one.block, around));
    const message =
      clash === undefined
        ? 'every /24 of 10.209.0.0/16 is in use'
        : `subnet ${showBlock(clash.block)} of address ${network.address} overlaps ${clash.what}`;
    problems.error('subnet-overlap', path, message, 'set network.subnet');
  }
  return free;
}

/** The /24 around the spec's address, for when the spec names no subnet. */
function blockAround({ network }: Spec): Block | undefined {
  return network.address === undefined ? undefined : parseBlock(`${network.address}/${POOL.prefix}`);
}

/** Whether a link of ours moves to the subnet around an address outside its own: only with all containers on it. */
function isLeft(
  onLink: Block,
  around: Block | undefined,
  spec: Spec,
  link: string,
  facts: HostFacts,
  together: readonly Spec[],
): boolean {
  if (around === undefined || !isOwnLink(link, facts) || findElsewhere(link, facts) !== undefined)
    return false;
  if (contains(onLink, parseAddress(spec.network.address ?? '') ?? -1)) return false;
  const wanted = showBlock(around);
  const moving = together.filter((other) => {
    const block = blockAround(other);
    return block !== undefined && showBlock(block) === wanted;
  });
  return neighboursOn(link, facts, spec.name).every(
    // A container that was compiled before this one has the new subnet in its lease by now.
    ({ name, lease }) => lease.subnet === wanted || moving.some((other) => other.name === name),
  );
}

/** Whether runspec made the link: its alias says `runspec`, or `runspec:NAME` when it is one container's. */
export function isOwnLink(link: string, { network }: HostFacts): boolean {
  return isOwned(network.links.find((one) => one.name === link)?.alias);
}

/** Whether the link exists and runspec did not make it: such a link is changed only as far as joining needs. */
export function isForeignLink(link: string, facts: HostFacts): boolean {
  return facts.network.links.some((one) => one.name === link) && !isOwnLink(link, facts);
}

/** What a bridge of somebody else has by itself, whether containers are on it or not. */
export function ownAddressesOf(link: string, facts: HostFacts): HostFacts['network']['addresses'] {
  if (!isForeignLink(link, facts)) return [];
  const lent = new Set(Object.values(facts.containers).flatMap((one) => one.lent ?? []));
  return facts.network.addresses.filter(
    (one) => one.link === link && !lent.has(`${one.address}/${one.prefix}`),
  );
}

/** The subnet that the link has already, by a container on it or by its own address. */
function blockOfLink(link: string, facts: HostFacts, name: string): Block | undefined {
  const neighbour = neighbourOn(link, facts, name);
  if (neighbour !== undefined) return parsed(neighbour.lease.subnet);
  const address = facts.network.addresses.find(
    (one) => one.link === link && parseAddress(one.address) !== undefined,
  );
  return address === undefined ? undefined : parsed(`${address.address}/${address.prefix}`);
}

interface Neighbour {
  readonly name: string;
  readonly lease: Lease;
}

function neighbourOn(
  link: string,
  facts: HostFacts,
  name: string,
  except: readonly Spec[] = [],
): Neighbour | undefined {
  return neighboursOn(link, facts, name).find((other) => !except.some((spec) => spec.name === other.name));
}

function neighboursOn(link: string, { containers }: HostFacts, name: string): readonly Neighbour[] {
  return Object.entries(containers).flatMap(([other, { lease }]) =>
    lease?.link === link && other !== name ? [{ name: other, lease }] : [],
  );
}

/**
 * Blocks that may not be chosen: routes and addresses of other links, leases on other links. Default routes do not
 * count, nor do their halves, by which VPNs take precedence over them.
 */
function usedBlocks(
  link: string,
  facts: HostFacts,
  name: string,
): readonly { readonly block: Block; readonly what: string }[] {
  const left = linkLeft(link, facts, name);
  const routes = facts.network.routes
    .filter((route) => route.link !== link && route.link !== left && parsed(route.destination).prefix > 1)
    .map((route) => ({
      block: parsed(route.destination),
      what: `the route ${route.destination} by ${route.link}`,
    }));
  const addresses = facts.network.addresses
    .filter((one) => one.link !== link && one.link !== left && parseAddress(one.address) !== undefined)
    .map((one) => ({
      block: parsed(`${one.address}/${one.prefix}`),
      what: `${one.address}/${one.prefix} of ${one.link}`,
    }));
  const leases = Object.entries(facts.containers).flatMap(([other, container]) =>
    other === name || container.lease === undefined || container.lease.link === link
      ? []
      : [{ block: parsed(container.lease.subnet), what: `the network of container ${other}` }],
  );
  return [...routes, ...addresses, ...leases];
}

/** The link that the container leaves: if it is ours and has no other user, it is gone before the new one comes. */
export function linkLeft(link: string, facts: HostFacts, name: string): string | undefined {
  const former = facts.containers[name]?.lease?.link;
  if (former === undefined || former === link) return undefined;
  const isShared = Object.entries(facts.containers).some(
    ([other, { lease }]) => other !== name && lease?.link === former,
  );
  const isGone = !isShared && findElsewhere(former, facts) === undefined;
  return isOwnLink(former, facts) && isGone ? former : undefined;
}

function poolBlocks(): readonly Block[] {
  return Array.from({ length: POOL.count }, (_, index) => ({
    network: POOL.network + index * 256,
    prefix: POOL.prefix,
  }));
}

export function parsed(text: string): Block {
  return parseBlock(text) ?? { network: 0, prefix: 32 };
}

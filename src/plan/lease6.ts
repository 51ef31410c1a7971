// Chooses IPv6 subnet, gateway and address of a container, by the same rules as for IPv4: what the spec says, else what
// is there already, else the first that is free. Without a request, a host without IPv6 gives none.
import type { SpecPath } from '../errors.ts';
import {
  contains6,
  formatBlock6,
  formatIpv6,
  IPV6_MIN_MTU,
  overlap6,
  parseBlock6,
  parseIpv6,
  type Block6,
} from '../load/ipv6.ts';
import type { Spec } from '../load/spec.ts';
import { findElsewhere, TAKE_DOWN } from './elsewhere.ts';
import type { HostFacts } from './facts.ts';
import { givesUp } from './given-up.ts';
import { parseAddress, parseBlock } from './ipv4.ts';
import { addressesElsewhere, addressesOfForeign } from './lease.ts';
import { findNarrow } from './mtu.ts';
import type { Lease } from './plan.ts';
import type { Problems } from './problems.ts';
import { isOwnLink } from './subnets.ts';
import {
  askedBy,
  freeBlock,
  KEYS6,
  neighbourOn,
  presentOn,
  usedBlocks,
  type Key6,
  type Present,
} from './subnets6.ts';

/** IPv6 network of a link, the same for all its containers. */
export interface Network6 {
  readonly subnet6: string;
  readonly gateway6: string;
}

/** @returns undefined when no container on the link has IPv6, or when none can be had; `problems` then says why. */
export function chooseNetwork6(
  spec: Spec,
  link: string,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): Network6 | undefined {
  const here = [spec, ...together.filter((other) => isBeside(other, spec))];
  // A neighbour's own problems are reported when the neighbour is compiled.
  const has = (one: Spec): boolean =>
    wantsIpv6(one, link, facts, together, one === spec ? problems : undefined);
  const having = here.filter(has);
  const leaving = together.filter((other) => !having.some(({ name }) => name === other.name));
  const neighbour = neighbourOn(link, facts, spec.name, leaving);
  // A container without IPv6 does not take the IPv6 network of its neighbours from the bridge.
  if (having.length === 0 && (neighbour === undefined || facts.network.ipv6 === 'off')) return undefined;
  const refuse = (code: string, key: Key6, message: string, hint: string): undefined => {
    problems.error(code, pathOf(spec, key), message, hint);
    return undefined;
  };
  const fixed = askedBy(here, 'subnet6');
  const found = presentOn(spec, link, facts, here);
  const present = found !== undefined && isLeft(found, link, facts, here) ? undefined : found;
  const wanted = fixed === undefined ? present?.block : parseBlock6(fixed);
  const isBound = present?.isBinding === true;
  const elsewhere = findElsewhere(link, facts, 'with IPv6');
  const [whose, way] = elsewhere === undefined ? ['', ''] : [` for ${elsewhere}`, `, or ${TAKE_DOWN}`];
  if (isBound && wanted !== undefined && formatBlock6(present.block) !== formatBlock6(wanted)) {
    const shown = formatBlock6(present.block);
    const message = `${link} already carries ${shown}${whose}, not ${fixed}`;
    return refuse('subnet-mismatch', 'subnet6', message, `use ${shown}, or another network.bridge${way}`);
  }
  const block = wanted ?? freeBlock(spec, link, facts, here);
  // A subnet that is on the link stays there, as in IPv4, even if a later route overlaps it.
  const isThere = fixed === undefined && isOnLink(block, link, facts);
  const clash = isThere
    ? undefined
    : usedBlocks(link, facts, spec.name).find((one) => overlap6(one.block, block));
  if (clash?.ofContainer === false && !here.some(isAskedFor)) {
    const message = `no IPv6 for ${spec.name}: subnet ${formatBlock6(block)} overlaps ${clash.what}`;
    const hint = 'set network.subnet6 to a free network, or network.ipv6 to false';
    problems.warning('subnet-overlap', ['network'], message, hint);
    return undefined;
  }
  if (clash !== undefined) {
    const message = `subnet ${formatBlock6(block)} overlaps ${clash.what}`;
    const hint =
      fixed === undefined
        ? 'set network.subnet6 to a free network, or network.ipv6 to false'
        : 'choose another network.subnet6, or leave it out';
    return refuse('subnet-overlap', 'subnet6', message, hint);
  }
  const gateway = askedBy(here, 'gateway6');
  if (isBound && gateway !== undefined && gateway !== present.gateway6) {
    const message = `the gateway of ${link} is ${present.gateway6}${whose}, not ${gateway}`;
    return refuse(
      'gateway-mismatch',
      'gateway6',
      message,
      `use ${present.gateway6}, or another network.bridge${way}`,
    );
  }
  const own = facts.containers[spec.name]?.lease;
  const former = present?.gateway6 ?? (own?.link === link ? own.gateway6 : undefined) ?? '';
  const gateway6 =
    gateway ??
    (contains6(block, parseIpv6(former) ?? -1n) ? former : undefined) ??
    formatIpv6(block.network + 1n);
  const wrong = whyNoHost(block, gateway6);
  if (wrong === undefined) return { subnet6: formatBlock6(block), gateway6 };
  const message = `gateway ${gateway6} is ${wrong} ${formatBlock6(block)}`;
  return refuse('outside-subnet', 'gateway6', message, 'set network.subnet6 to the subnet of the gateway');
}

/**
 * Whether the link leaves its subnet, as in IPv4: on a link of ours that only this container depends on, a fixed
 * address outside the present subnet brings its own /64.
 */
function isLeft(found: Present, link: string, facts: HostFacts, here: readonly Spec[]): boolean {
  const around = parseIpv6(askedBy(here, 'address6', 'gateway6') ?? '');
  if (found.isBinding || around === undefined || askedBy(here, 'subnet6') !== undefined) return false;
  return isOwnLink(link, facts) && !contains6(found.block, around);
}

/** @returns the container's address in `network`; undefined when it wants none, or when there is none left. */
export function chooseAddress6(
  spec: Spec,
  lease: Lease,
  network: Network6 | undefined,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): string | undefined {
  const block = parseBlock6(network?.subnet6 ?? '');
  if (network === undefined || block === undefined || !wantsIpv6(spec, lease.link, facts, together))
    return undefined;
  const taken = new Map([
    ...addressesElsewhere(facts),
    ...addressesOfForeign(lease.link, facts),
    [network.gateway6, `the gateway of ${lease.link}`],
    ...Object.entries(facts.containers).flatMap(([name, { lease: other }]): (readonly [string, string])[] =>
      name === spec.name || other?.address6 === undefined ? [] : [[other.address6, name]],
    ),
  ]);
  const { address6 } = spec.network;
  if (address6 !== undefined) {
    const wrong = whyNoHost(block, address6);
    const user = taken.get(address6);
    const holder = givesUp(user, 'address6', address6, together) ? undefined : user;
    if (wrong === undefined && holder === undefined) return address6;
    const [code, message, hint] =
      wrong === undefined
        ? ['address-taken', `taken by ${holder}`, 'leave network.address6 out to get a free one']
        : [
            'outside-subnet',
            `${wrong} ${network.subnet6}`,
            'choose another address, or set network.subnet6 to its subnet',
          ];
    problems.error(code, ['network', 'address6'], `address ${address6} is ${message}`, hint);
    return undefined;
  }
  const isFree = (address: string): boolean => whyNoHost(block, address) === undefined && !taken.has(address);
  const own = facts.containers[spec.name]?.lease?.address6;
  if (own !== undefined && isFree(own)) return own;
  // The host number of the IPv4 address is tried first: it is the one a person would look for.
  const number = BigInt((parseAddress(lease.address) ?? 0) - (parseBlock(lease.subnet)?.network ?? 0));
  const candidates = [number, ...Array.from({ length: taken.size + 2 }, (_, index) => BigInt(index + 1))];
  const found = candidates.map((one) => formatIpv6(block.network + one)).find(isFree);
  if (found === undefined) {
    const hint = 'take containers down, or choose a larger network.subnet6';
    const message = `no free address is left in ${network.subnet6}`;
    problems.error('subnet-full', pathOf(spec, 'subnet6'), message, hint);
  }
  return found;
}

/** Path of the key in the spec; path of the whole network when the spec does not have the key. */
function pathOf({ network }: Spec, key: Key6): SpecPath {
  return network[key] === undefined ? ['network'] : ['network', key];
}

function wantsIpv6(
  spec: Spec,
  link: string,
  facts: HostFacts,
  together: readonly Spec[],
  problems?: Problems,
): boolean {
  const { network } = spec;
  if (network.ipv6 === false) return false;
  const key = KEYS6.find((one) => network[one] !== undefined);
  const isAsked = isAskedFor(spec);
  const refuse = (message: string, hint: string): false => {
    if (isAsked) problems?.error('no-ipv6', ['network', key ?? 'ipv6'], message, hint);
    return false;
  };
  if (facts.network.ipv6 === 'off')
    return refuse('this host has no IPv6', 'enable it: sysctl net.ipv6.conf.all.disable_ipv6=0');
  const narrow = findNarrow(spec, link, facts, together);
  if (narrow !== undefined) {
    const message = `IPv6 needs an mtu of ${IPV6_MIN_MTU}, and ${narrow.what} has ${narrow.mtu}`;
    return refuse(message, narrow.hint);
  }
  if (isAsked || facts.network.ipv6 === 'used') return true;
  // A container keeps its IPv6 address while the host's uplink, and with it the host's own IPv6, is away for a while.
  const own = facts.containers[spec.name]?.lease;
  return own?.link === link && own.address6 !== undefined;
}

function isAskedFor({ network }: Spec): boolean {
  return network.ipv6 === true || KEYS6.some((key) => network[key] !== undefined);
}

function isOnLink(block: Block6, link: string, { network }: HostFacts): boolean {
  return network.addresses.some(
    (one) => one.link === link && contains6(block, parseIpv6(one.address) ?? -1n),
  );
}

function isBeside(other: Spec, spec: Spec): boolean {
  return (
    other.name !== spec.name &&
    spec.network.mode === 'bridge' &&
    other.network.mode === 'bridge' &&
    other.network.bridge === spec.network.bridge
  );
}

function whyNoHost(block: Block6, address: string): string | undefined {
  const value = parseIpv6(address) ?? -1n;
  if (!contains6(block, value)) return 'outside the subnet';
  return value === block.network ? 'the address of all routers of' : undefined;
}

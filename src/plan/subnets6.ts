// The IPv6 networks that a link could have: what is asked for, what is there already, what is free.
import {
  contains6,
  formatBlock6,
  formatIpv6,
  isGlobal,
  overlap6,
  parseBlock6,
  parseIpv6,
  type Block6,
} from '../load/ipv6.ts';
import { createHash } from '../crypto.ts';
import type { Spec } from '../load/spec.ts';
import { findElsewhere } from './elsewhere.ts';
import type { HostFacts } from './facts.ts';
import type { Lease } from './plan.ts';
import { isForeignLink, linkLeft, ownAddressesOf } from './subnets.ts';

/**
 * Pool of unique local networks (RFC 4193), with `runsp` as the global identifier: containers are behind NAT, so equal
 * networks on two hosts do not meet.
 */
const POOL = parseIpv6('fd72:756e:7370::') ?? 0n;

/** Address that containers see in place of ::1, on no interface, from the pool's network 0, which no link gets. */
export const LOOPBACK6 = formatIpv6(POOL + 1n);

/** Keys of `network` that ask for IPv6. */
export const KEYS6 = ['subnet6', 'address6', 'gateway6'] as const;
export type Key6 = (typeof KEYS6)[number];

/** First value of these keys among the specs on a link, of which the container's own comes first. */
export function askedBy(here: readonly Spec[], ...keys: readonly Key6[]): string | undefined {
  return here.flatMap(({ network }) => keys.map((key) => network[key])).find((one) => one !== undefined);
}

export interface Present {
  readonly block: Block6;
  readonly gateway6: string;
  /** Whether others depend on it; false when only this container brought it to a bridge of ours. */
  readonly isBinding: boolean;
}

/** Lease of another container with IPv6 on the link. */
export function neighbourOn(
  link: string,
  facts: HostFacts,
  name: string,
  except: readonly Spec[] = [],
): Lease | undefined {
  const passed = new Set([name, ...except.map((spec) => spec.name)]);
  return Object.entries(facts.containers).find(
    ([other, { lease }]) => !passed.has(other) && lease?.link === link && lease.subnet6 !== undefined,
  )?.[1].lease;
}

/** IPv6 network that the link has already, by a container on it or by an address of its own. */
export function presentOn(
  spec: Spec,
  link: string,
  facts: HostFacts,
  here: readonly Spec[],
): Present | undefined {
  const neighbour = neighbourOn(link, facts, spec.name);
  if (neighbour?.subnet6 !== undefined && neighbour.gateway6 !== undefined) {
    const block = parseBlock6(neighbour.subnet6);
    return block && { block, gateway6: neighbour.gateway6, isBinding: true };
  }
  const lease = facts.containers[spec.name]?.lease;
  const own = lease?.subnet6;
  const isForeign = isForeignLink(link, facts);
  const fixed = ownAddressesOf(link, facts);
  const isHeld = findElsewhere(link, facts, 'with IPv6') !== undefined;
  const all = facts.network.addresses.flatMap((one): readonly Present[] => {
    const block = parseBlock6(`${one.address}/${one.prefix}`);
    // A prefix without room for a container, such as the /128 of DHCPv6, is no network to join.
    if (one.link !== link || !isGlobal(one.address) || block === undefined || block.prefix > 126) return [];
    const isBinding = isHeld || fixed.includes(one) || formatBlock6(block) !== own;
    return [{ block, gateway6: one.address, isBinding }];
  });
  // A link may have several networks: first the one that is asked for, then the one that the container had.
  const [subnet, address] = [askedBy(here, 'subnet6'), askedBy(here, 'address6', 'gateway6')];
  const found =
    all.find(({ block }) => formatBlock6(block) === subnet) ??
    all.find(({ block }) => contains6(block, parseIpv6(address ?? '') ?? -1n)) ??
    all.find(({ block }) => formatBlock6(block) === own);
  // A network that the link has lost is given back: others on the link are no reason to move.
  const isLost = found === undefined && lease?.link === link && (subnet ?? own) === own;
  const lost = isLost && all.length > 0 && own !== undefined ? parseBlock6(own) : undefined;
  if (lost !== undefined && lease?.gateway6 !== undefined)
    return { block: lost, gateway6: lease.gateway6, isBinding: isForeign };
  return found ?? all[0];
}

export function freeBlock(spec: Spec, link: string, facts: HostFacts, here: readonly Spec[]): Block6 {
  const own = facts.containers[spec.name]?.lease;
  const former = own?.link === link ? parseBlock6(own.subnet6 ?? '') : undefined;
  const around = askedBy(here, 'address6', 'gateway6');
  const inUse = usedBlocks(link, facts, spec.name);
  const first = createHash('sha256').update(link).digest().readUInt16BE(0);
  const pool = Array.from({ length: 256 }, (_, index): Block6 => ({
    network: POOL + (BigInt(((first + index) % 0xffff) + 1) << 64n),
    prefix: 64,
  }));
  const named = around === undefined ? undefined : parseBlock6(`${around}/64`);
  const candidates = named === undefined ? [...(former === undefined ? [] : [former]), ...pool] : [named];
  const free = candidates.find((one) => !inUse.some(({ block }) => overlap6(block, one)));
  // When no candidate is free, the first is returned: the caller says what it overlaps.
  return free ?? (candidates[0] as Block6);
}

interface Found {
  readonly text: string;
  readonly what: string;
  readonly ofContainer?: boolean;
}

/** Blocks of other links. Default routes, their halves and 2000::/3 (all of the Internet) do not count. */
export function usedBlocks(
  link: string,
  facts: HostFacts,
  name: string,
): readonly { readonly block: Block6; readonly what: string; readonly ofContainer: boolean }[] {
  const left = linkLeft(link, facts, name);
  const isOther = (one: { readonly link: string }): boolean => one.link !== link && one.link !== left;
  const found = [
    ...facts.network.routes
      .filter(isOther)
      .map((one) => ({ text: one.destination, what: `the route ${one.destination} by ${one.link}` })),
    ...facts.network.addresses
      .filter((one) => isOther(one) && isGlobal(one.address))
      .map((one) => ({
        text: `${one.address}/${one.prefix}`,
        what: `${one.address}/${one.prefix} of ${one.link}`,
      })),
    ...Object.entries(facts.containers).flatMap(([other, { lease }]) =>
      other === name || lease === undefined || !isOther(lease)
        ? []
        : [{ text: lease.subnet6 ?? '', what: `the network of container ${other}`, ofContainer: true }],
    ),
  ];
  return found.flatMap(({ text, what, ofContainer = false }: Found) => {
    const block = text.includes(':') ? parseBlock6(text) : undefined;
    return block === undefined || block.prefix <= 3 ? [] : [{ block, what, ofContainer }];
  });
}

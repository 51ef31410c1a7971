// Which IPv6 subnet, gateway and address a container gets, by the same rules as for IPv4: what the spec says, else
// what is there already, else the first that is free. None where nobody asks and the host has no IPv6.
import { createHash } from 'node:crypto';
import {
  contains6,
  formatBlock6,
  formatIpv6,
  overlap6,
  parseBlock6,
  parseIpv6,
  type Block6,
} from '../load/ipv6.ts';
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import { parseAddress, parseBlock } from './ipv4.ts';
import { linkLeft } from './lease.ts';
import type { Lease } from './plan.ts';
import type { Problems } from './problems.ts';

/** Unique local (RFC 4193), with `runsp` as the global identifier: containers are behind NAT, so equal ones on two hosts do not meet. */
const POOL = parseIpv6('fd72:756e:7370::') ?? 0n;

/** What a container sees in place of ::1; of the pool's network 0, which no link gets. No interface has it. */
export const LOOPBACK6 = formatIpv6(POOL + 1n);

/** Of a link, that is of all its containers. */
export interface Network6 {
  readonly subnet6: string;
  readonly gateway6: string;
}

/** @returns undefined when no container on the link has IPv6, or when there is none for it. */
export function chooseNetwork6(
  spec: Spec,
  link: string,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): Network6 | undefined {
  const here = [spec, ...together.filter((other) => isBeside(other, spec))];
  if (!here.some((one) => wantsIpv6(one, link, facts, problems))) return undefined;
  const present = presentOn(link, facts, spec.name);
  const fixed = here.map((one) => one.network.subnet6).find((one) => one !== undefined);
  const wanted = fixed === undefined ? present?.block : parseBlock6(fixed);
  const isBound = present?.isBinding === true;
  if (isBound && wanted !== undefined && formatBlock6(present.block) !== formatBlock6(wanted)) {
    const shown = formatBlock6(present.block);
    const message = `${link} already carries ${shown}, not ${fixed}`;
    problems.error(
      'subnet-mismatch',
      ['network', 'subnet6'],
      message,
      `use ${shown}, or another network.bridge`,
    );
    return undefined;
  }
  const block = wanted ?? freeBlock(spec, link, facts, here);
  const clash = usedBlocks(link, facts, spec.name).find((one) => overlap6(one.block, block));
  if (clash !== undefined) {
    const path = spec.network.subnet6 === undefined ? ['network'] : ['network', 'subnet6'];
    const message = `subnet ${formatBlock6(block)} overlaps ${clash.what}`;
    problems.error('subnet-overlap', path, message, 'choose another network.subnet6');
    return undefined;
  }
  const asked = here.map((one) => one.network.gateway6).find((one) => one !== undefined);
  if (isBound && asked !== undefined && asked !== present.gateway6) {
    const message = `the gateway of ${link} is ${present.gateway6}, not ${asked}`;
    problems.error(
      'gateway-mismatch',
      ['network', 'gateway6'],
      message,
      `use ${present.gateway6}, or another network.bridge`,
    );
    return undefined;
  }
  const former =
    present !== undefined && contains6(block, parseIpv6(present.gateway6) ?? -1n)
      ? present.gateway6
      : undefined;
  const gateway6 = asked ?? former ?? formatIpv6(block.network + 1n);
  if (!isHost(block, gateway6)) {
    const message = `gateway ${gateway6} is outside the subnet ${formatBlock6(block)}`;
    problems.error('outside-subnet', ['network', 'gateway6'], message, 'set network.subnet6 to its subnet');
    return undefined;
  }
  return { subnet6: formatBlock6(block), gateway6 };
}

/** @returns the container's share of `network`; undefined when it wants none, or when there is none left. */
export function chooseAddress6(
  spec: Spec,
  lease: Lease,
  network: Network6 | undefined,
  facts: HostFacts,
  problems: Problems,
): string | undefined {
  const block = parseBlock6(network?.subnet6 ?? '');
  if (network === undefined || block === undefined || !wantsIpv6(spec, lease.link, facts)) return undefined;
  const taken = new Map([
    [network.gateway6, `the gateway of ${lease.link}`],
    ...Object.entries(facts.containers).flatMap(([name, { lease: other }]): [string, string][] =>
      name === spec.name || other?.address6 === undefined ? [] : [[other.address6, name]],
    ),
  ]);
  const { address6 } = spec.network;
  if (address6 !== undefined) {
    const holder = taken.get(address6);
    if (isHost(block, address6) && holder === undefined) return address6;
    const message =
      holder === undefined
        ? `address ${address6} is outside the subnet ${network.subnet6}`
        : `address ${address6} is taken by ${holder}`;
    const code = holder === undefined ? 'outside-subnet' : 'address-taken';
    problems.error(code, ['network', 'address6'], message, 'leave network.address6 out to get a free one');
    return undefined;
  }
  const isFree = (address: string): boolean => isHost(block, address) && !taken.has(address);
  const own = facts.containers[spec.name]?.lease?.address6;
  if (own !== undefined && isFree(own)) return own;
  // The same number as in IPv4 is the one a person would look for.
  const number = BigInt((parseAddress(lease.address) ?? 0) - (parseBlock(lease.subnet)?.network ?? 0));
  const candidates = [number, ...Array.from({ length: taken.size + 2 }, (_, index) => BigInt(index + 1))];
  const found = candidates.map((one) => formatIpv6(block.network + one)).find(isFree);
  if (found === undefined) {
    const hint = 'take containers down, or choose a larger network.subnet6';
    problems.error('subnet-full', ['network'], `no free address is left in ${network.subnet6}`, hint);
  }
  return found;
}

function wantsIpv6(spec: Spec, link: string, facts: HostFacts, problems?: Problems): boolean {
  const { network } = spec;
  if (network.ipv6 === false) return false;
  const key = (['subnet6', 'address6', 'gateway6'] as const).find((one) => network[one] !== undefined);
  const isAsked = network.ipv6 === true || key !== undefined;
  if (facts.network.ipv6 === 'off') {
    if (isAsked) {
      const hint = 'enable it: sysctl net.ipv6.conf.all.disable_ipv6=0';
      problems?.error('no-ipv6', ['network', key ?? 'ipv6'], 'this host has no IPv6', hint);
    }
    return false;
  }
  if (isAsked || facts.network.ipv6 === 'used') return true;
  // An uplink that is away for a while takes no address from who has one.
  return Object.values(facts.containers).some(
    ({ lease }) => lease?.link === link && lease.address6 !== undefined,
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

function isHost(block: Block6, address: string): boolean {
  const value = parseIpv6(address) ?? -1n;
  return contains6(block, value) && value !== block.network;
}

/** What the link has already, by a container on it or by its own address; not binding when only this container brought it. */
function presentOn(
  link: string,
  facts: HostFacts,
  name: string,
): { readonly block: Block6; readonly gateway6: string; readonly isBinding: boolean } | undefined {
  const neighbour = Object.entries(facts.containers).find(
    ([other, { lease }]) => other !== name && lease?.link === link && lease.subnet6 !== undefined,
  )?.[1].lease;
  const own = facts.network.addresses.find((one) => one.link === link && isGlobal(one.address));
  const [subnet, gateway6] =
    neighbour === undefined
      ? [`${own?.address}/${own?.prefix}`, own?.address]
      : [neighbour.subnet6, neighbour.gateway6];
  const block = parseBlock6(subnet ?? '');
  if (block === undefined || gateway6 === undefined) return undefined;
  const brought = facts.containers[name]?.lease?.subnet6 === formatBlock6(block);
  return { block, gateway6, isBinding: neighbour !== undefined || !brought };
}

function freeBlock(spec: Spec, link: string, facts: HostFacts, here: readonly Spec[]): Block6 {
  const own = facts.containers[spec.name]?.lease;
  const former = own?.link === link ? parseBlock6(own.subnet6 ?? '') : undefined;
  const around = here
    .map((one) => one.network.address6 ?? one.network.gateway6)
    .find((one) => one !== undefined);
  const inUse = usedBlocks(link, facts, spec.name);
  const first = createHash('sha256').update(link).digest().readUInt16BE(0);
  const pool = Array.from({ length: 256 }, (_, index): Block6 => ({
    network: POOL + (BigInt(((first + index) % 0xffff) + 1) << 64n),
    prefix: 64,
  }));
  const named = around === undefined ? undefined : parseBlock6(`${around}/64`);
  const candidates = named === undefined ? [...(former === undefined ? [] : [former]), ...pool] : [named];
  const free = candidates.find((one) => !inUse.some(({ block }) => overlap6(block, one)));
  // Where none is free the first is: the caller says what it overlaps.
  return free ?? (candidates[0] as Block6);
}

/** Blocks of other links. A default route is none, nor are its halves. */
function usedBlocks(
  link: string,
  facts: HostFacts,
  name: string,
): readonly { readonly block: Block6; readonly what: string }[] {
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
        : [{ text: lease.subnet6 ?? '', what: `the network of container ${other}` }],
    ),
  ];
  return found.flatMap(({ text, what }) => {
    const block = text.includes(':') ? parseBlock6(text) : undefined;
    return block === undefined || block.prefix <= 1 ? [] : [{ block, what }];
  });
}

/** Neither loopback nor link-local nor multicast: such as containers have. */
function isGlobal(address: string): boolean {
  return address.includes(':') && !/^(::1$|f[ef])/.test(address);
}

// IPv6 addresses and networks: text to numbers of 128 bits, and back in the canonical spelling of RFC 5952.
import type { Parsed } from './describe.ts';

export interface Block6 {
  readonly network: bigint;
  readonly prefix: number;
}

const HINT = 'write network and prefix length, as in fd00:209::/64';

/** @returns undefined when the text is no IPv6 address. */
export function parseIpv6(text: string): bigint | undefined {
  const canonical = canonicalIpv6(text);
  if (canonical === undefined) return undefined;
  const [head = '', tail] = canonical.split('::');
  const [before, after] = [wordsOf(head), wordsOf(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((sum, word) => (sum << 16n) | BigInt(`0x${word}`), 0n);
}

function wordsOf(part: string): readonly string[] {
  return part === '' ? [] : part.split(':');
}

/**
 * Canonical spelling: lower case, the longest run of zeros shortened. The URL standard writes addresses as RFC 5952
 * does.
 */
export function canonicalIpv6(text: string): string | undefined {
  if (!/^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(text) || !URL.canParse(`http://[${text}]`)) return undefined;
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

export function formatIpv6(address: bigint): string {
  const words = [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n].map((shift) =>
    ((address >> shift) & 0xffffn).toString(16),
  );
  return canonicalIpv6(words.join(':')) ?? words.join(':');
}

/** The block that `text` lies in; undefined when it is no IPv6 address with a prefix length. */
export function parseBlock6(text: string): Block6 | undefined {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  const address = parseIpv6(match?.[1] ?? '');
  const prefix = Number(match?.[2]);
  if (address === undefined || prefix > 128) return undefined;
  return { network: (address >> hostBits(prefix)) << hostBits(prefix), prefix };
}

export function formatBlock6(block: Block6): string {
  return `${formatIpv6(block.network)}/${block.prefix}`;
}

export function contains6(block: Block6, address: bigint): boolean {
  return address >> hostBits(block.prefix) === block.network >> hostBits(block.prefix);
}

export function overlap6(one: Block6, other: Block6): boolean {
  return one.prefix <= other.prefix ? contains6(one, other.network) : contains6(other, one.network);
}

function hostBits(prefix: number): bigint {
  return BigInt(128 - prefix);
}

/**
 * Whether an address is neither loopback nor link-local nor multicast.
 * @param address in canonical spelling.
 */
export function isGlobal(address: string): boolean {
  return address.includes(':') && !/^(::1$|f[ef])/.test(address);
}

/** Link-local, multicast, loopback and the like: addresses that no container can be given. */
const SPECIAL = ['::/8', 'fe80::/10', 'ff00::/8'];

/** An IPv6 network with room for a gateway and a container. */
export function parseCidr6(input: string): Parsed<Block6> {
  const block = parseBlock6(input);
  if (!input.includes(':') && input.includes('.'))
    return { problem: 'is an IPv4 network', hint: 'name it in subnet' };
  const zone = zoneOf(input);
  if (zone !== undefined) return zone;
  if (block === undefined) return { problem: 'is not an IPv6 network in CIDR form', hint: HINT };
  if (block.prefix < 16 || block.prefix > 126) {
    return {
      problem: `has a prefix of ${block.prefix} bits`,
      hint: 'the prefix is 16 to 126 bits long, as in fd00:209::/64',
    };
  }
  if (parseIpv6(input.split('/')[0] ?? '') !== block.network)
    return { problem: 'has bits set behind its prefix', hint: `the network is ${formatBlock6(block)}` };
  if (isSpecial(block))
    return { problem: 'is not a network for containers', hint: 'use a private one, as in fd00:209::/64' };
  return { value: block };
}

export function parseAddress6(input: string): Parsed<bigint> {
  const hint = 'write it as in fd00:209::2';
  const zone = zoneOf(input);
  if (zone !== undefined) return zone;
  const address = parseIpv6(input);
  if (address === undefined && parseBlock6(input) !== undefined)
    return { problem: 'has a prefix length', hint: 'leave it out: subnet6 has it' };
  if (address === undefined)
    return { problem: /^[0-9.]+$/.test(input) ? 'is an IPv4 address' : 'is not an IPv6 address', hint };
  if (isSpecial({ network: address, prefix: 128 }))
    return { problem: 'is not an address for containers', hint: 'use a private one, as in fd00:209::2' };
  return { value: address };
}

/** Least MTU of a link that carries IPv6: RFC 8200, section 5. */
export const IPV6_MIN_MTU = 1280;

function isSpecial(block: Block6): boolean {
  return SPECIAL.some((special) => overlap6(parseBlock6(special) as Block6, block));
}

/** Problem of an address with a zone, which names the link for an address that every link has. */
function zoneOf(input: string): { readonly problem: string; readonly hint: string } | undefined {
  const zone = /%[^/]*(?=\/|$)/.exec(input)?.[0];
  if (zone === undefined) return undefined;
  const hint = 'only link-local addresses have one: use a private one, as in fd00:209::2';
  return { problem: `has the zone ${zone}`, hint };
}

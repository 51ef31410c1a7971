// IPv4, IPv6, CIDR and MAC addresses: checked, compared, in canonical spelling.
import type { Parsed } from './describe.ts';
import { canonicalIpv6 } from './ipv6.ts';
import type { Spec } from './spec.ts';

export interface Subnet {
  /** Network address as an unsigned 32-bit number. */
  readonly network: number;
  readonly prefix: number;
}

export function parseIpv4(input: string): Parsed<number> {
  const match = /^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$/.exec(input);
  const parts = match?.slice(1) ?? [];
  // A leading zero is octal to inet_aton(3) and decimal to others.
  if (parts.length !== 4 || parts.some((part) => Number(part) > 255 || /^0./.test(part))) {
    return { problem: 'is not an IPv4 address', hint: 'write four numbers from 0 to 255, as in 10.209.0.2' };
  }
  return { value: parts.reduce((sum, part) => sum * 256 + Number(part), 0) };
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** IP address of either family, in canonical spelling: IPv6 in lower case and shortened. */
export function parseIp(input: string): Parsed<string> {
  if (!input.includes(':')) {
    const parsed = parseIpv4(input);
    return 'value' in parsed ? { value: input } : { ...parsed, problem: 'is not an IP address' };
  }
  const value = canonicalIpv6(input);
  if (value === undefined)
    return { problem: 'is not an IP address', hint: 'write it as in 192.0.2.2 or 2001:db8::2' };
  return { value };
}

/** An IPv4 network with room for a gateway and a container. */
export function parseCidr(input: string): Parsed<Subnet> {
  const hint = 'write network and prefix length, as in 10.209.0.0/24';
  if (input.includes(':')) return { problem: 'is an IPv6 network', hint: 'name it in subnet6' };
  const [text = '', length = ''] = input.split('/', 2);
  const address = parseIpv4(text);
  if (
    !('value' in address) ||
    !/^[0-9]{1,2}$/.test(length) ||
    Number(length) > 32 ||
    input !== `${text}/${length}`
  ) {
    return { problem: 'is not a network in CIDR form', hint };
  }
  const prefix = Number(length);
  if (prefix < 8 || prefix > 30)
    return {
      problem: `has a prefix of ${prefix} bits`,
      hint: 'the prefix is 8 to 30 bits long, as in 10.209.0.0/24',
    };
  const subnet = { network: networkOf(address.value, prefix), prefix };
  if (subnet.network !== address.value) {
    return { problem: 'has bits set behind its prefix', hint: `the network is ${formatSubnet(subnet)}` };
  }
  const first = subnet.network >>> 24;
  if (first === 0 || first === 127 || first >= 224)
    return { problem: 'is not a network for containers', hint: 'use a private one, as in 10.209.0.0/24' };
  return { value: subnet };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatIpv4(subnet.network)}/${subnet.prefix}`;
}

export function contains(subnet: Subnet, address: number): boolean {
  return networkOf(address, subnet.prefix) === subnet.network;
}

export function broadcastOf(subnet: Subnet): number {
  return subnet.network + 2 ** (32 - subnet.prefix) - 1;
}

function networkOf(address: number, prefix: number): number {
  const size = 2 ** (32 - prefix);
  return address - (address % size);
}

/** MAC address in lower case; a multicast address is refused, because an interface cannot have one. */
export function parseMac(input: string): Parsed<string> {
  if (!/^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}$/.test(input)) {
    return {
      problem: 'is not a MAC address',
      hint: 'write six pairs of hex digits in quotes, as in "02:42:0a:d1:00:02"',
    };
  }
  if ((Number.parseInt(input.slice(0, 2), 16) & 1) === 1) {
    return { problem: 'is a multicast address', hint: 'the first pair must be even, as in "02:…"' };
  }
  if (/^[0:]+$/.test(input))
    return { problem: 'is all zero', hint: 'leave mac out to have one made from the address' };
  return { value: input.toLowerCase() };
}

/** A locally administered MAC address made of an IPv4 address, as Docker does: `02:42` and the four bytes. */
export function macOf(address: string): string {
  const bytes = (address.split('/')[0] ?? '')
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}

/** The MAC address that a spec names: one of its own, or the one made of the address that it names. */
export function macNamedBy({ network: { mac, address } }: Pick<Spec, 'network'>): string | undefined {
  return mac ?? (address === undefined ? undefined : macOf(address));
}

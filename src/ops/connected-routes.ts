// Connected routes: the kernel makes one for the subnet of each address, and takes it away with the address. When only
// the route goes, as by `ip route flush`, the address stays, and leads nowhere.
import type { LinkState } from '../host/kernel-view.ts';
import { formatBlock6, parseBlock6 } from '../load/ipv6.ts';
import { parseBlock, showBlock } from '../plan/ipv4.ts';
import type { Difference } from './op.ts';

interface Route {
  readonly destination: string;
  readonly link: string;
  readonly gateway?: string | undefined;
}

/**
 * Those of `addresses` that the link has without their routes. A link that is down has none for IPv4, and gets them
 * when it goes up.
 */
export function withoutRoute(
  link: LinkState,
  addresses: readonly string[],
  routes: readonly Route[],
): readonly string[] {
  if (!link.up) return [];
  const own = routes.filter((route) => route.link === link.name && route.gateway === undefined);
  return addresses.filter((address) => {
    const subnet = subnetOf(address);
    const isThere = link.addresses.some((one) => `${one.address}/${one.prefix}` === address);
    // A single address has none.
    if (!isThere || /\/(?:32|128)$/.test(subnet)) return false;
    return own.every(({ destination }) => destination !== subnet);
  });
}

export function routeDifferences(
  link: LinkState,
  addresses: readonly string[],
  routes: readonly Route[],
): readonly Difference[] {
  return withoutRoute(link, addresses, routes).map((address) => ({
    property: address.includes(':') ? 'route6' : 'route',
    wanted: subnetOf(address),
    found: 'none',
  }));
}

/**
 * A line for ip(8) that makes the route as the kernel does (fib_frontend.c, fib_magic; addrconf.c,
 * addrconf_prefix_route). `append` leaves routes of the same subnet by other links alone.
 */
export function routeLine(verb: 'append' | 'replace', address: string, link: string): string {
  const [host = ''] = address.split('/');
  const rest = address.includes(':') ? 'metric 256' : `scope link src ${host}`;
  return `route ${verb} ${subnetOf(address)} dev ${link} proto kernel ${rest}`;
}

function subnetOf(address: string): string {
  const block = parseBlock(address);
  if (block !== undefined) return showBlock(block);
  const block6 = parseBlock6(address);
  return block6 === undefined ? address : formatBlock6(block6);
}

// Facts of the host's network: links, addresses, routes, neighbours, and the filter chains of others.
import { formatBlock6, isGlobal } from '../load/ipv6.ts';
import { isOwned } from '../names.ts';
import type { NetworkFacts } from '../plan/facts.ts';
import type { Host } from './host.ts';
import type { KernelView, LinkState } from './kernel-view.ts';
import { bytesOf, hexAddress } from './listening.ts';

/**
 * @param what `firewall`: whether the filter chains of others are read; a plan without a network of its own needs none,
 *   and nft may be missing then. `docker`: whether Docker's chain is among them, asked apart.
 */
export async function readNetwork(
  host: Host,
  view: KernelView,
  what: { readonly firewall: boolean; readonly docker: () => Promise<boolean> },
): Promise<NetworkFacts> {
  const sysctl = async (name: string): Promise<string | undefined> =>
    (await host.readText(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`))?.trim();
  const [links, table, arp, table6, all, fresh, docker, foreign] = await Promise.all([
    view.links(),
    host.readText('/proc/net/route'),
    host.readText('/proc/net/arp'),
    host.readText('/proc/net/ipv6_route'),
    sysctl('all'),
    sysctl('default'),
    what.docker().then((isThere) => (isThere ? view.dockerUser() : undefined)),
    what.firewall ? view.foreignRules() : undefined,
  ]);
  const unreadable = [
    ...(foreign?.unreadable ?? []),
    ...(docker?.unreadable === undefined ? [] : [docker.unreadable]),
  ];
  const routes6 = parseRoutes6(table6 ?? '');
  const neighbours = [...parseNextHops(table ?? ''), ...parseArp(arp ?? '')];
  const isOff = all !== '0' || fresh !== '0';
  return {
    ipv6: isOff ? 'off' : isUsed(links, routes6) ? 'used' : 'idle',
    ...(docker === undefined || docker.unreadable !== undefined
      ? {}
      : { dockerUser: true as const, dockerBridges: docker.bridges }),
    ...(foreign?.foreignChains === undefined ? {} : { foreignChains: foreign.foreignChains }),
    ...(unreadable.length === 0 ? {} : { unreadable }),
    links: links.map(({ name, alias, kind, mtu, mac, master }) => ({
      name,
      mtu,
      ...(alias === undefined ? {} : { alias }),
      ...(kind === undefined ? {} : { kind }),
      ...(kind === 'bridge' || master !== undefined ? { mac } : {}),
      ...(master === undefined ? {} : { master }),
    })),
    addresses: links.flatMap((link) =>
      link.addresses.map(({ address, prefix }) => ({ link: link.name, address, prefix })),
    ),
    routes: [...parseRoutes(table ?? ''), ...routes6],
    ...(neighbours.length === 0 ? {} : { neighbours }),
  };
}

/** Links that the host's default routes lead to. */
export async function readDefaultLinks(host: Host): Promise<readonly string[]> {
  const [table, table6] = await Promise.all(
    ['/proc/net/route', '/proc/net/ipv6_route'].map((path) => host.readText(path)),
  );
  return [...parseRoutes(table ?? ''), ...parseRoutes6(table6 ?? '')].flatMap(({ destination, link }) =>
    destination === '0.0.0.0/0' || destination === '::/0' ? [link] : [],
  );
}

/** Whether the host uses IPv6: an address on a bridge of ours says nothing about that. */
function isUsed(links: readonly LinkState[], routes: NetworkFacts['routes']): boolean {
  const foreign = links.filter((link) => !isOwned(link.alias));
  return (
    routes.some((route) => route.destination === '::/0') ||
    foreign.some((link) => link.addresses.some((one) => isGlobal(one.address)))
  );
}

/** Flags of entries that lead nowhere (linux/ipv6_route.h, route.h): unreachable, anycast, the host's own addresses. */
const NO_ROUTE = 0x0200 | 0x0010_0000 | 0x8000_0000;

// Columns: destination prefix source prefix gateway metric refcount use flags interface, all numbers in hex.
function parseRoutes6(table: string): NetworkFacts['routes'] {
  return table.split('\n').flatMap((line) => {
    const [destination = '', prefix = '', , , , , , , flags = '', link] = line.trim().split(/\s+/);
    // Link-local and multicast routes are skipped: every link has them.
    if (link === undefined || /^f[ef]/.test(destination)) return [];
    if ((Number.parseInt(flags, 16) & NO_ROUTE) !== 0) return [];
    const block = { network: BigInt(`0x${destination}`), prefix: Number.parseInt(prefix, 16) };
    return [{ link, destination: formatBlock6(block) }];
  });
}

// Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask …; in hex, in the byte order of the machine.
function parseRoutes(table: string): NetworkFacts['routes'] {
  return readRows(table).flatMap(([link, destination, , , , , , mask]) => {
    if (link === undefined || destination === undefined || mask === undefined) return [];
    return [{ link, destination: `${hexAddress(destination)}/${countBits(mask)}` }];
  });
}

function parseNextHops(table: string): NonNullable<NetworkFacts['neighbours']> {
  return readRows(table).flatMap(([link, , gateway]) => {
    if (link === undefined || gateway === undefined || /^0+$/.test(gateway)) return [];
    return [{ link, address: hexAddress(gateway) }];
  });
}

// Columns: IP address, HW type, Flags, HW address, Mask, Device. ATF_COM (linux/if_arp.h): the neighbour has answered.
function parseArp(table: string): NonNullable<NetworkFacts['neighbours']> {
  return readRows(table).flatMap(([address, , flags, , , link]) => {
    if (address === undefined || link === undefined || (Number(flags) & 0x02) === 0) return [];
    return [{ link, address }];
  });
}

/** The fields of each line but the first. */
function readRows(table: string): readonly (readonly (string | undefined)[])[] {
  const lines = table.split('\n').slice(1);
  return lines.filter((line) => line.trim() !== '').map((line) => line.trim().split(/\s+/));
}

function countBits(mask: string): number {
  return bytesOf(mask).reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
}

// Facts of the host's network: links, addresses, routes, neighbours, and the filter chains of others.
import { isGlobal } from '../load/ipv6.ts';
import { isOwned } from '../names.ts';
import type { NetworkFacts } from '../plan/facts.ts';
import type { Host } from './host.ts';
import { readHostRoutes, readRows } from './host-routes.ts';
import type { KernelView, LinkState } from './kernel-view.ts';

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
  const [links, routes, arp, all, fresh, docker, foreign] = await Promise.all([
    view.links(),
    view.hostRoutes(),
    host.readText('/proc/net/arp'),
    sysctl('all'),
    sysctl('default'),
    what.docker().then((isThere) => (isThere ? view.dockerUser() : undefined)),
    what.firewall ? view.foreignRules() : undefined,
  ]);
  const unreadable = [
    ...(foreign?.unreadable ?? []),
    ...(docker?.unreadable === undefined ? [] : [docker.unreadable]),
  ];
  const nextHops = routes.flatMap(({ link, gateway }) =>
    gateway === undefined || gateway.includes(':') ? [] : [{ link, address: gateway }],
  );
  const neighbours = [...nextHops, ...parseArp(arp ?? '')];
  const isOff = all !== '0' || fresh !== '0';
  return {
    ipv6: isOff ? 'off' : isUsed(links, routes) ? 'used' : 'idle',
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
    routes: routes.map(({ link, destination }) => ({ link, destination })),
    ...(neighbours.length === 0 ? {} : { neighbours }),
  };
}

/** Links that the host's default routes lead to. */
export async function readDefaultLinks(host: Host): Promise<readonly string[]> {
  return (await readHostRoutes(host)).flatMap(({ destination, link }) =>
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

// Columns: IP address, HW type, Flags, HW address, Mask, Device. ATF_COM (linux/if_arp.h): the neighbour has answered.
function parseArp(table: string): NonNullable<NetworkFacts['neighbours']> {
  return readRows(table).flatMap(([address, , flags, , , link]) => {
    if (address === undefined || link === undefined || (Number(flags) & 0x02) === 0) return [];
    return [{ link, address }];
  });
}

// What the host's network has already: links, addresses and routes.
import type { NetworkFacts } from '../plan/facts.ts';
import type { Host } from './host.ts';
import type { KernelView } from './kernel-view.ts';
import { bytesOf, hexAddress } from './listening.ts';

export async function readNetwork(host: Host, view: KernelView): Promise<NetworkFacts> {
  const [links, routes] = await Promise.all([view.links(), host.readText('/proc/net/route')]);
  return {
    links: links.map(({ name, alias, kind, mtu }) => ({
      name,
      mtu,
      ...(alias === undefined ? {} : { alias }),
      ...(kind === undefined ? {} : { kind }),
    })),
    addresses: links.flatMap((link) =>
      link.addresses.map(({ address, prefix }) => ({ link: link.name, address, prefix })),
    ),
    routes: parseRoutes(routes ?? ''),
  };
}

// Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask …; numbers in hex, in the byte order of the machine.
function parseRoutes(table: string): NetworkFacts['routes'] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [link, destination] = fields;
      const mask = fields[7];
      if (link === undefined || destination === undefined || mask === undefined) return [];
      return [{ link, destination: `${hexAddress(destination)}/${countBits(mask)}` }];
    });
}

function countBits(mask: string): number {
  return bytesOf(mask).reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
}

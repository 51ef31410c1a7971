// Routes of the host as procfs tells them, without a program. Of IPv4 those of the main table, of IPv6 those of all.
import { formatBlock6, formatIpv6 } from '../load/ipv6.ts';
import type { Host } from './host.ts';
import { bytesOf, hexAddress } from './listening.ts';

export interface HostRoute {
  readonly link: string;
  /** In CIDR form; `0.0.0.0/0` and `::/0` are the default routes. */
  readonly destination: string;
  readonly gateway?: string;
}

export async function readHostRoutes(host: Host): Promise<readonly HostRoute[]> {
  const [table, table6] = await Promise.all(
    ['/proc/net/route', '/proc/net/ipv6_route'].map((path) => host.readText(path)),
  );
  return [...parseRoutes(table ?? ''), ...parseRoutes6(table6 ?? '')];
}

/** Flags of entries that lead nowhere (linux/ipv6_route.h, route.h): unreachable, anycast, the host's own addresses. */
const NO_ROUTE = 0x0200 | 0x0010_0000 | 0x8000_0000;

// Columns: destination prefix source prefix gateway metric refcount use flags interface, all numbers in hex.
function parseRoutes6(table: string): readonly HostRoute[] {
  return table.split('\n').flatMap((line) => {
    const [destination = '', prefix = '', , , gateway = '', , , , flags = '', link] = line
      .trim()
      .split(/\s+/);
    // Link-local and multicast routes are skipped: every link has them.
    if (link === undefined || /^f[ef]/.test(destination)) return [];
    if ((Number.parseInt(flags, 16) & NO_ROUTE) !== 0) return [];
    const block = { network: BigInt(`0x${destination}`), prefix: Number.parseInt(prefix, 16) };
    return [
      {
        link,
        destination: formatBlock6(block),
        ...(/^0*$/.test(gateway) ? {} : { gateway: formatIpv6(BigInt(`0x${gateway}`)) }),
      },
    ];
  });
}

// Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask …; in hex, in the byte order of the machine.
function parseRoutes(table: string): readonly HostRoute[] {
  return readRows(table).flatMap(([link, destination, gateway = '', , , , , mask]) => {
    if (link === undefined || destination === undefined || mask === undefined) return [];
    return [
      {
        link,
        destination: `${hexAddress(destination)}/${countBits(mask)}`,
        ...(/^0*$/.test(gateway) ? {} : { gateway: hexAddress(gateway) }),
      },
    ];
  });
}

/** The fields of each line but the first. */
export function readRows(table: string): readonly (readonly (string | undefined)[])[] {
  const lines = table.split('\n').slice(1);
  return lines.filter((line) => line.trim() !== '').map((line) => line.trim().split(/\s+/));
}

function countBits(mask: string): number {
  return bytesOf(mask).reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
}

// Tells neighbours at which MAC address a container's addresses are now. They remember the former one for half a minute
// and more, and send answers for the container there: the host, other containers, machines on a joined bridge.
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import type { LinkState } from '../host/kernel-view.ts';
import { macOf } from '../load/addresses.ts';
import { IPV6_MIN_MTU } from '../load/ipv6.ts';
import { netnsFile } from '../names.ts';
import { contains, parseAddress, parseBlock } from '../plan/ipv4.ts';

export interface Announcer {
  readonly netns: string;
  readonly interface: string;
  /** MAC address that the interface has already. */
  readonly mac: string;
  readonly mtu: number;
}

/**
 * The kernel itself sends a gratuitous ARP request and an unsolicited neighbour advertisement for each address of an
 * interface whose MAC address is set, even to the one that it has, while arp_notify and ndisc_notify are on
 * (NETDEV_CHANGEADDR in devinet.c and ndisc.c).
 */
export async function announce(host: Host, { netns, interface: link, mac, mtu }: Announcer): Promise<void> {
  const enter = ['nsenter', `--net=${netnsFile(netns)}`, '--'];
  const hasIpv6 = mtu >= IPV6_MIN_MTU && (await host.status('/proc/sys/net/ipv6/conf')) !== undefined;
  const conf = (family: 'ipv4' | 'ipv6'): string => `/proc/sys/net/${family}/conf/${link}`;
  const paths = [`${conf('ipv4')}/arp_notify`, ...(hasIpv6 ? [`${conf('ipv6')}/ndisc_notify`] : [])];
  const found = (await runChecked(host, [...enter, 'cat', ...paths])).stdout.split('\n');
  const silent = paths.filter((_, index) => found[index] === '0');
  const set = async (value: string): Promise<void> => {
    if (silent.length > 0) await runChecked(host, [...enter, 'tee', ...silent], { stdin: value });
  };
  await set('1');
  try {
    await runChecked(host, ['ip', '-n', netns, 'link', 'set', 'dev', link, 'address', mac]);
  } finally {
    await set('0');
  }
}

/**
 * Whether the MAC address is made of an IPv4 address of the subnet that the interface does not have yet: it is about to
 * get that one, and its present one may be another container's already, as when two containers swap theirs.
 */
export function isAheadOf(mac: string, { addresses }: LinkState): boolean {
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const coming = bytes.slice(2).join('.');
  return addresses.some(({ address, prefix }) => {
    const block = parseBlock(`${address}/${prefix}`);
    return (
      macOf(coming) === mac &&
      coming !== address &&
      block !== undefined &&
      contains(block, parseAddress(coming) ?? -1)
    );
  });
}

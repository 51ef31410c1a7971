// Settings that the host's links to containers have in common, both bridges and host ends of veth pairs, and the lines
// by which ip(8) makes them.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { LinkState } from '../host/kernel-view.ts';
import { canonicalIpv6 } from '../load/ipv6.ts';
import type { Difference } from './op.ts';
import { quote } from './shell.ts';

const CONF = '/proc/sys/net/ipv4/conf';
const CONF6 = '/proc/sys/net/ipv6/conf';

/** Text for the standard input of `ip -batch -`. */
export function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}

/**
 * An IPv6 address is added without duplicate address detection: on a bridge that has no port yet it would never end.
 */
export function addAddress(address: string, link: string): string {
  return `addr add ${address} dev ${link}${address.includes(':') ? ' nodad' : ''}`;
}

/**
 * The link-local address that the kernel would give a link of this MAC address when it goes up (EUI-64, RFC 4291).
 * Added before, it needs no duplicate address detection: until that ends, after a second or two, the host sends no
 * neighbour solicitation to anybody behind the link.
 */
export function linkLocalOf(mac: string): string {
  const [first = '', b, c, d, e, f] = mac.split(':');
  const universal = (Number.parseInt(first, 16) ^ 0x02).toString(16);
  const address = `fe80::${universal}${b}:${c}ff:fe${d}:${e}${f}`;
  return `${canonicalIpv6(address) ?? address}/64`;
}

/**
 * Whether the link still needs its link-local address. On a link that is up the kernel sees to that, and somebody may
 * have set another one.
 */
export function lacksLinkLocal(link: LinkState): boolean {
  return !link.up && !link.addresses.some(({ address }) => address.startsWith('fe80:'));
}

/** The file that lets packets of 127.0.0.0/8 through a link, such as local ones to published ports. */
export function routeLocalnet(link: string): string {
  return `${CONF}/${link}/route_localnet`;
}

/**
 * Switches off accept_ra: router advertisements of a container, with IPv6 or without, must not set the host's routes.
 */
export async function refuseAdvertisements(host: Host, link: string): Promise<void> {
  if ((await advertisementDifference(host, link)).length > 0) await host.writeInPlace(acceptRa(link), '0');
}

/** @returns no difference in a kernel without IPv6. */
export async function advertisementDifference(host: Host, link: string): Promise<readonly Difference[]> {
  const found = (await host.readText(acceptRa(link)))?.trim() ?? '0';
  return found === '0' ? [] : [{ property: 'accept_ra', wanted: '0', found }];
}

/** Switches IPv6 on again on a link of ours: the kernel has taken its addresses away, and lets nobody add one. */
export async function allowIpv6(host: Host, link: string): Promise<void> {
  if ((await ipv6Difference(host, link)).length > 0) await host.writeInPlace(disableIpv6(link), '0');
}

/** @throws OperationError when the owner of a foreign bridge has no IPv6 on it. */
export async function expectIpv6(host: Host, link: string): Promise<void> {
  if ((await ipv6Difference(host, link)).length === 0) return;
  throw new OperationError(`IPv6 is switched off on the bridge ${link}`, {
    hint: `echo 0 > ${disableIpv6(link)}; or set network.ipv6 to false`,
  });
}

/** @returns no difference in a kernel without IPv6. */
export async function ipv6Difference(host: Host, link: string): Promise<readonly Difference[]> {
  const found = (await host.readText(disableIpv6(link)))?.trim() ?? '0';
  return found === '0' ? [] : [{ property: 'disable_ipv6', wanted: '0', found }];
}

/**
 * Whether the host forwards while this link of ours does not: packets of containers go no further than the host. That
 * the host forwards at all is the sysctl step's to see to, which sets it on every link.
 */
export async function forwardingDifferences(
  host: Host,
  link: string,
  hasIpv6: boolean,
): Promise<readonly Difference[]> {
  const differ = async (property: string, conf: string, all: string): Promise<readonly Difference[]> => {
    const [wanted, found] = await Promise.all(
      [all, `${conf}/${link}/forwarding`].map(async (file) => (await host.readText(file))?.trim()),
    );
    return wanted === '1' && found === '0' ? [{ property, wanted, found }] : [];
  };
  return [
    ...(await differ('forwarding', CONF, '/proc/sys/net/ipv4/ip_forward')),
    ...(hasIpv6 ? await differ('forwarding6', CONF6, `${CONF6}/all/forwarding`) : []),
  ];
}

/** Lets the link forward when the host does. */
export async function allowForwarding(host: Host, link: string, hasIpv6: boolean): Promise<void> {
  for (const { property } of await forwardingDifferences(host, link, hasIpv6))
    await host.writeInPlace(`${property === 'forwarding' ? CONF : CONF6}/${link}/forwarding`, '1');
}

/** Gives a link that becomes a port of a bridge the host's defaults for new links: the bridge has our settings then. */
export async function restoreDefaults(host: Host, link: string): Promise<void> {
  for (const file of [routeLocalnet, acceptRa]) {
    const [fresh, found] = await Promise.all([host.readText(file('default')), host.readText(file(link))]);
    if (fresh !== undefined && found !== undefined && fresh.trim() !== found.trim())
      await host.writeInPlace(file(link), fresh.trim());
  }
}

export function refuseAdvertisementsLine(link: string): string {
  const path = quote(acceptRa(link));
  return `if [ -e ${path} ]; then echo 0 > ${path}; fi`;
}

function acceptRa(link: string): string {
  return `${CONF6}/${link}/accept_ra`;
}

/** The file by which IPv6 is switched off on a link. */
export function disableIpv6(link: string): string {
  return `${CONF6}/${link}/disable_ipv6`;
}

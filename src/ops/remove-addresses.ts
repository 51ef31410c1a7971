// Removes addresses from a link without the kernel removing others along with them.
import { OperationError } from '../errors.ts';
import { runChecked } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { parseBlock, showBlock } from '../plan/ipv4.ts';

/** Addresses of one link, with their prefix length. */
export interface Removal {
  readonly link: string;
  readonly stale: readonly string[];
  /** Addresses that the link keeps. */
  readonly staying: readonly string[];
  /** The link is runspec's own: its settings go with it, and need not be put back. */
  readonly isOurs: boolean;
}

/**
 * Removes the `stale` addresses. The first address of an IPv4 subnet is its primary one, and with it the kernel removes
 * the later ones of the subnet, unless promote_secondaries makes the next one primary and keeps its routes (devinet.c,
 * __inet_del_ifa). Removing all and adding the others again would cost the link the routes that others have set by it.
 */
export async function removeAddresses(host: Host, { link, stale, staying, isOurs }: Removal): Promise<void> {
  if (stale.length === 0) return;
  const subnets = new Set(staying.map(subnetOf));
  const mayBePrimary = stale.some((one) => subnets.has(subnetOf(one)));
  const file = `/proc/sys/net/ipv4/conf/${link}/promote_secondaries`;
  const former = mayBePrimary ? (await host.readText(file))?.trim() : undefined;
  if (former === '0') await host.writeInPlace(file, '1');
  try {
    for (const one of stale) await removeAddress(host, link, one);
  } finally {
    if (former === '0' && !isOurs) await host.writeInPlace(file, '0');
  }
}

/**
 * Words of the kernel for an address that is gone: a port that gets an mtu without room for IPv6 takes the IPv6 addresses
 * of its bridge along, at any moment (ipv6/addrconf.c, inet6_addr_del).
 */
const GONE = /IPv6 is disabled on this device|Cannot assign requested address|address not found/;

async function removeAddress(host: Host, link: string, address: string): Promise<void> {
  try {
    await runChecked(host, ['ip', 'addr', 'del', address, 'dev', link]);
  } catch (cause) {
    if (!(cause instanceof OperationError) || !GONE.test(cause.command?.stderr ?? '')) throw cause;
  }
}

/** The kernel tells subnets apart by network and mask; an IPv6 address has no secondary ones. */
function subnetOf(address: string): string {
  const block = parseBlock(address);
  return block === undefined ? address : showBlock(block);
}

// The mtu of a bridge of our own: the least of its ports', but never one that would cost it its IPv6. The kernel keeps
// a bridge at the least until somebody sets its mtu: from then on that stays, whatever its ports do.
import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readLinks, type LinkState } from '../host/kernel-view.ts';
import { IPV6_MIN_MTU, isGlobal } from '../load/ipv6.ts';
import { GONE } from './delete-link.ts';

/**
 * @returns the mtu that the bridge must get; undefined when it has that already. Without a port any mtu will do, as the
 * first port decides. Ports that get wider one by one must not take away an IPv6 address that the first of them needs.
 */
export function findMtu(
  bridge: LinkState,
  links: readonly LinkState[],
  hasIpv6: boolean,
): number | undefined {
  const ports = links.filter((one) => one.master === bridge.name);
  const least = ports.length === 0 ? bridge.mtu : Math.min(...ports.map(({ mtu }) => mtu));
  const wanted = hasIpv6 ? Math.max(least, IPV6_MIN_MTU) : least;
  return wanted === bridge.mtu ? undefined : wanted;
}

/** Fits the bridge to its ports after one has changed: once somebody has set its mtu, the kernel leaves that to us. */
export async function fitMtu(host: Host, name: string): Promise<void> {
  const links = await readLinks(host);
  const bridge = links.find((one) => one.name === name);
  const mtu =
    bridge &&
    findMtu(
      bridge,
      links,
      bridge.addresses.some(({ address }) => isGlobal(address)),
    );
  if (mtu === undefined) return;
  const result = await host.run(['ip', 'link', 'set', 'dev', name, 'mtu', String(mtu)]);
  // Another container's step may remove the bridge with its last port meanwhile.
  if (result.status !== 0 && !GONE.test(result.stderr))
    throw commandError(`cannot set the mtu of ${name}`, result);
}

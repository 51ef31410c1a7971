// The mtu of a bridge of our own: the least of its ports', but never one that would cost it its IPv6. The kernel sees
// to the least by itself, until somebody sets another one: from then on it stays as it is set, whatever port comes,
// goes or changes.
import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readLinks, type LinkState } from '../host/kernel-view.ts';
import { IPV6_MIN_MTU, isGlobal } from '../load/ipv6.ts';
import { GONE } from './delete-link.ts';

/**
 * What it has to be, where that is not what it is. Without a port any will do: the first one to come decides. Ports that
 * get wider one after the other must not take an IPv6 address away that the first of them needs.
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

/** Once a port is not what it was: where somebody has set the mtu, the kernel leaves the rest to us. */
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
  // Its last ports may be taken down beside this one.
  if (result.status !== 0 && !GONE.test(result.stderr))
    throw commandError(`cannot set the mtu of ${name}`, result);
}

// The mtu of a bridge of our own: the least of its ports'. The kernel sees to that by itself, until somebody sets
// another one: from then on it stays as it is set, whatever port comes, goes or changes.
import { commandError } from '../host/commands.ts';
import type { Host } from '../host/host.ts';
import { readLinks, type LinkState } from '../host/kernel-view.ts';
import { GONE } from './delete-link.ts';

/** What it has to be, where that is not what it is. Without a port any will do: the first one to come decides. */
export function findMtu(bridge: LinkState, links: readonly LinkState[]): number | undefined {
  const ports = links.filter((one) => one.master === bridge.name);
  const least = Math.min(...ports.map(({ mtu }) => mtu));
  return ports.length === 0 || least === bridge.mtu ? undefined : least;
}

/** Once a port is not what it was: where somebody has set the mtu, the kernel leaves the rest to us. */
export async function fitMtu(host: Host, name: string): Promise<void> {
  const links = await readLinks(host);
  const bridge = links.find((one) => one.name === name);
  const mtu = bridge && findMtu(bridge, links);
  if (mtu === undefined) return;
  const result = await host.run(['ip', 'link', 'set', 'dev', name, 'mtu', String(mtu)]);
  // Its last ports may be taken down beside this one.
  if (result.status !== 0 && !GONE.test(result.stderr))
    throw commandError(`cannot set the mtu of ${name}`, result);
}

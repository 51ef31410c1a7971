// Forwarders: other programs that need the host to forward packets, as far as the kernel shows them. Docker, Podman and
// libvirt set ip_forward at their start, only if it is off, and cannot be asked later. Reads only.
import { isGlobal } from '../load/ipv6.ts';
import { isOwned } from '../names.ts';
import type { Host } from './host.ts';
import type { KernelView } from './kernel-view.ts';
import { readDefaultLinks } from './network-facts.ts';

/** @returns names for people, as in `bridge docker0` and `chain DOCKER-USER`; runspec's own are left out. */
export async function findForwarders(
  host: Host,
  view: Pick<KernelView, 'links' | 'engines'>,
  family: 'inet' | 'inet6',
): Promise<readonly string[]> {
  const uplinks = await readDefaultLinks(host);
  const bridges = (await view.links()).filter(
    ({ kind, alias, up, name, addresses }) =>
      kind === 'bridge' &&
      up &&
      !isOwned(alias) &&
      !uplinks.includes(name) &&
      // Packets stay on a bridge without an address.
      addresses.some((one) => one.family === family && (family === 'inet' || isGlobal(one.address))),
  );
  return [...(family === 'inet' ? await view.engines() : []), ...bridges.map(({ name }) => `bridge ${name}`)];
}

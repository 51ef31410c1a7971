// Who else needs the host to forward packets, as far as the kernel shows it: Docker, Podman or libvirt set ip_forward when
// they start only if nobody has, and have no way to tell afterwards. Reads only.
import { isGlobal } from '../load/ipv6.ts';
import { isOwned } from '../names.ts';
import type { Host } from './host.ts';
import type { KernelView } from './kernel-view.ts';
import { readDefaultLinks } from './network-facts.ts';

/** For people, as in `bridge docker0` and `chain DOCKER-USER`; what is runspec's own is not in it. */
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
      // Without an address packets stay on it.
      addresses.some((one) => one.family === family && (family === 'inet' || isGlobal(one.address))),
  );
  return [...(family === 'inet' ? await view.engines() : []), ...bridges.map(({ name }) => `bridge ${name}`)];
}

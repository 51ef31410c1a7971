// MAC addresses on one bridge: it sends what is for one that two have to whoever has spoken last.
import { macOf } from '../load/addresses.ts';
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import { givesUp } from './given-up.ts';
import type { Lease } from './plan.ts';
import type { Problems } from './problems.ts';
import { isOwnLink } from './subnets.ts';

type Link = Pick<Lease, 'link' | 'gateway'>;

export function macIn({ network }: Spec, { address }: Pick<Lease, 'address'>): string {
  return network.mac ?? macOf(address);
}

/** Of the host end, which is a port of the bridge: one without an address of its own takes the lowest of its ports', and ours is never that. */
export function macOfHostEnd(mac: string): string {
  return `fe${mac.slice(2)}`;
}

export function checkMac(
  spec: Spec,
  lease: Lease,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): void {
  const mac = macIn(spec, lease);
  const holder = macsOnBridge(spec, lease, facts, together).get(mac);
  if (holder === undefined) return;
  const { mac: given, address } = spec.network;
  if (given !== undefined) {
    const hint = 'choose another network.mac, or leave it out to have one made from the address';
    problems.error('mac-taken', ['network', 'mac'], `MAC address ${mac} is that of ${holder}`, hint);
    return;
  }
  const message = `MAC address ${mac}, made of ${lease.address}, is that of ${holder}`;
  const path = address === undefined ? ['network'] : ['network', 'address'];
  problems.error('mac-taken', path, message, 'choose another network.address, or set network.mac');
}

/** Those that the container cannot have, and whose they are; point to point there is nobody else. */
export function macsOnBridge(
  spec: Spec,
  { link, gateway }: Link,
  facts: HostFacts,
  together: readonly Spec[],
): ReadonlyMap<string, string> {
  if (spec.network.mode !== 'bridge') return new Map();
  const bridge = facts.network.links.find(({ name }) => name === link);
  const own = bridge === undefined ? macOf(gateway) : bridge.mac;
  const ports = facts.network.links.flatMap(({ name, master, mac }) =>
    master === link && mac !== undefined && !isOwnLink(name, facts)
      ? [[mac, `${name} on ${link}`] as const]
      : [],
  );
  const others = Object.entries(facts.containers).flatMap(([name, { lease, mac }]) =>
    name === spec.name || lease?.link !== link || mac === undefined || givesUp(name, 'mac', mac, together)
      ? []
      : [[macOfHostEnd(mac), `the host end of ${name}`] as const, [mac, name] as const],
  );
  const { mac } = spec.network;
  return new Map([
    ...(mac === undefined ? [] : [[macOfHostEnd(mac), 'its own host end'] as const]),
    ...(own === undefined ? [] : [[own, `the bridge ${link} itself`] as const]),
    ...ports,
    ...others,
  ]);
}

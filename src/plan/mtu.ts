// The mtu of a container's interface, and whether its link can carry IPv6. Below 1280 the kernel takes IPv6 from a link
// for good, addresses and all (addrconf.c, NETDEV_CHANGEMTU), and a bridge goes by the least mtu of its ports.
import { IPV6_MIN_MTU, isGlobal } from '../load/ipv6.ts';
import type { Spec } from '../load/spec.ts';
import { ownerOf } from '../names.ts';
import { findElsewhere } from './elsewhere.ts';
import type { HostFacts } from './facts.ts';
import type { Problems } from './problems.ts';
import { isForeignLink } from './subnets.ts';

export function mtuOf({ network }: Spec, facts: HostFacts): number {
  return network.mtu ?? egressMtu(facts);
}

/** The mtu of the link that the default route takes, so that packets of a container need no fragments. */
function egressMtu(facts: HostFacts): number {
  const egress = facts.network.routes.find((route) => route.destination === '0.0.0.0/0');
  return facts.network.links.find((link) => link.name === egress?.link)?.mtu ?? 1500;
}

export interface Narrow {
  readonly what: string;
  readonly mtu: number;
  readonly hint: string;
}

/** Finds what on the container's link has too small an mtu for IPv6; undefined when there is nothing. */
export function findNarrow(
  spec: Spec,
  link: string,
  facts: HostFacts,
  together: readonly Spec[],
): Narrow | undefined {
  const isNarrow = ({ mtu }: { readonly mtu: number }): boolean => mtu < IPV6_MIN_MTU;
  const own = mtuOf(spec, facts);
  const ownHint = `set network.mtu to ${IPV6_MIN_MTU} or more`;
  if (own < IPV6_MIN_MTU) return { what: 'the interface of the default route', mtu: own, hint: ownHint };
  if (spec.network.mode !== 'bridge') return undefined;
  const hint = 'raise that, or use another network.bridge';
  const bridge = facts.network.links.find(({ name }) => name === link);
  // A bridge of ours takes the least mtu of its ports, so only a foreign one is narrow by itself.
  if (bridge !== undefined && isForeignLink(link, facts) && isNarrow(bridge))
    return { what: link, mtu: bridge.mtu, hint };
  const others = [
    ...together
      .filter(
        ({ name, network }) => name !== spec.name && network.mode === 'bridge' && network.bridge === link,
      )
      .map((other) => ({ name: other.name, mtu: mtuOf(other, facts) })),
    ...[
      ...strangersOn(link, facts, spec, together),
      ...facts.neighboursElsewhere.flatMap((one) => (one.link === link ? [one.container] : [])),
    ].flatMap((name) =>
      facts.network.links.flatMap(({ alias, mtu }) => (alias === ownerOf(name) ? [{ name, mtu }] : [])),
    ),
  ];
  const other = others.find(isNarrow);
  return other && { what: `${other.name} on ${link}`, mtu: other.mtu, hint };
}

/** Refuses an mtu that would take IPv6 from containers outside of this call, or from a foreign bridge itself. */
export function checkMtu(
  spec: Spec,
  link: string,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): void {
  const mtu = mtuOf(spec, facts);
  if (spec.network.mode !== 'bridge' || mtu >= IPV6_MIN_MTU) return;
  const user = strangersOn(link, facts, spec, together).find(
    (name) => facts.containers[name]?.lease?.address6 !== undefined,
  );
  const hasIpv6 = facts.network.addresses.some((one) => one.link === link && isGlobal(one.address));
  const elsewhere = hasIpv6 ? findElsewhere(link, facts, 'with IPv6') : undefined;
  const users = [
    ...(user === undefined ? [] : [`${user} on ${link}`]),
    ...(elsewhere === undefined ? [] : [`${link} and ${elsewhere}`]),
    ...(hasIpv6 && isForeignLink(link, facts) ? [link] : []),
  ];
  if (users.length === 0) return;
  problems.error(
    'small-mtu',
    spec.network.mtu === undefined ? ['network'] : ['network', 'mtu'],
    `an mtu of ${mtu} takes IPv6 from ${users[0]}`,
    `set network.mtu to ${IPV6_MIN_MTU} or more, or use another network.bridge`,
  );
}

/** Names of containers on the link that have no spec in this call. */
function strangersOn(
  link: string,
  { containers }: HostFacts,
  spec: Spec,
  together: readonly Spec[],
): readonly string[] {
  return Object.entries(containers).flatMap(([name, { lease }]) =>
    lease?.link === link && name !== spec.name && !together.some((other) => other.name === name)
      ? [name]
      : [],
  );
}

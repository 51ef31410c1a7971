// The ways that packets of a container take through the hooks of a host, described as far as they are known: from
// other hosts to a published port, from the host itself and back, and out by NAT. Pure.
import { familiesOf, isWildcard } from '../load/ports.ts';
import type { PortSpec } from '../load/spec.ts';
import type { DockerUserStep } from './docker-user-step.ts';
import type { NetworkFacts } from './facts.ts';
import type { Hook, Packet } from './foreign-chains.ts';

/** The parts of a container that the host's firewall sees. */
export interface Endpoint {
  readonly link: string;
  readonly address?: string;
  readonly address6?: string;
  readonly nat: boolean;
  readonly ports: readonly PortSpec[];
  /** The container's step for Docker's chain, on hosts with Docker. */
  readonly dockerUser?: Pick<DockerUserStep, 'link' | 'joined'>;
}

export interface Way {
  readonly kind: 'inward' | 'local' | 'outward';
  readonly family: 'ipv4' | 'ipv6';
  readonly port?: PortSpec;
  /** The packet at each hook, as a chain of this priority sees it: NAT changes it on its way. */
  readonly at: Partial<Record<Hook, (priority: number) => Packet>>;
}

/** Priorities of the kernel's connection tracking and destination NAT: linux/netfilter_ipv4.h. */
const CONNTRACK = -200;
const DNAT = -100;

export function waysOf(endpoint: Endpoint, facts: NetworkFacts): readonly Way[] {
  return (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const address = family === 'ipv4' ? endpoint.address : endpoint.address6;
    if (address === undefined) return [];
    const everywhere = family === 'ipv4' ? '0.0.0.0/0' : '::/0';
    const uplink = facts.routes.find(({ destination }) => destination === everywhere)?.link;
    const scope: Scope = { family, address, link: endpoint.link, uplink };
    const ports = endpoint.ports.filter((port) => familiesOf(port.hostIP).includes(family));
    return [
      ...ports.flatMap((port) => (isLoopback(port.hostIP) ? [] : [inward(scope, port)])),
      ...ports.map((port) => local(scope, port)),
      ...(endpoint.nat ? [outward(scope)] : []),
    ];
  });
}

interface Scope {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly link: string;
  readonly uplink: string | undefined;
}

function isLoopback(hostIP: string | undefined): boolean {
  return hostIP === '::1' || hostIP?.startsWith('127.') === true;
}

/** Packets of other hosts come in by the link of the default route; without such a route, by any link. */
function inward(scope: Scope, port: PortSpec): Way {
  const { address, link } = scope;
  const base = { ...common(scope), protocol: [port.protocol], ...named('iifname', scope.uplink) };
  const asked = {
    ...named('daddr', isWildcard(port.hostIP) ? undefined : port.hostIP),
    'daddr-type': ['local'],
  };
  const translated = { daddr: [address], 'daddr-type': ['unicast'], dport: [String(port.containerPort)] };
  return {
    kind: 'inward',
    family: scope.family,
    port,
    at: {
      prerouting: (priority) =>
        priority <= DNAT
          ? { ...base, ...asked, dport: [String(port.hostPort)], ...tracked(priority, 'new') }
          : { ...base, ...translated, ct: ['new', 'dnat'] },
      forward: () => ({ ...base, ...translated, oifname: [link], ct: ['new', 'dnat'] }),
    },
  };
}

/**
 * Packets of the host itself, to its loopback address where the port is published there. At the output hook a packet
 * has the link that was chosen before translation, `lo`. The answer is for the host again, and its source is translated
 * back only after the input hook.
 */
function local(scope: Scope, port: PortSpec): Way {
  const { address, family, link } = scope;
  const base = { ...common(scope), protocol: [port.protocol] };
  const loopback = family === 'ipv4' ? '127.0.0.1' : '::1';
  const host = isWildcard(port.hostIP) ? loopback : (port.hostIP ?? loopback);
  // The answer to ::1 comes in by lo: the veth's nft-ingress leads it there.
  const answer = { ...base, saddr: [address], iifname: [host === '::1' ? 'lo' : link] };
  return {
    kind: 'local',
    family,
    port,
    at: {
      output: (priority) =>
        priority <= DNAT
          ? {
              ...base,
              oifname: ['lo'],
              daddr: [host],
              'daddr-type': ['local'],
              dport: [String(port.hostPort)],
              ...tracked(priority, 'new'),
            }
          : {
              ...base,
              oifname: ['lo'],
              daddr: [address],
              'daddr-type': ['unicast'],
              dport: [String(port.containerPort)],
              ct: ['new', 'dnat'],
            },
      prerouting: (priority) => ({
        ...answer,
        ...(priority <= DNAT ? {} : { daddr: [host], 'daddr-type': ['local'] }),
        ...tracked(priority, 'established', 'dnat'),
      }),
      input: () => ({ ...answer, daddr: [host], 'daddr-type': ['local'], ct: ['established', 'dnat'] }),
    },
  };
}

/** Packets for other hosts, described as tcp: a rule that lets only pings pass is of no use to a container. */
function outward(scope: Scope): Way {
  const { address, family, link, uplink } = scope;
  const base = { ...common(scope), protocol: ['tcp'], saddr: [address], iifname: [link] };
  return {
    kind: 'outward',
    family,
    at: {
      prerouting: (priority) => ({ ...base, ...tracked(priority, 'new') }),
      forward: () => ({ ...base, ...named('oifname', uplink), ct: ['new'] }),
    },
  };
}

function common({ family }: Scope): Packet {
  return { family: [family], bridged: ['no'], 'reverse-path': ['there'] };
}

function tracked(priority: number, ...states: readonly string[]): Packet {
  return priority <= CONNTRACK ? {} : { ct: states };
}

function named(field: 'iifname' | 'oifname' | 'daddr', value: string | undefined): Packet {
  return value === undefined ? {} : { [field]: [value] };
}

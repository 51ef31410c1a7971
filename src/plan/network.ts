// The network of one container as steps: namespace, bridge, veth pair, address, firewall elements.
import { bracketed, familiesOf, isWildcard } from '../load/ports.ts';
import type { PortSpec, Spec } from '../load/spec.ts';
import { ingressTableOf, netnsOf, netnsFile, NFT_TABLE, OURS, ownerOf, vethName } from '../names.ts';
import { checkFirewall } from './check-firewall.ts';
import { checkMac, macIn } from './check-mac.ts';
import { dockerSteps } from './docker-user-step.ts';
import type { HostFacts } from './facts.ts';
import { FIREWALL } from './firewall.ts';
import { chooseLease } from './lease.ts';
import { chooseAddress6, chooseNetwork6, type Network6 } from './lease6.ts';
import type { Lease, NftElementStep, Step } from './plan.ts';
import { checkMtu, mtuOf } from './mtu.ts';
import { checkPorts } from './ports.ts';
import type { Problems } from './problems.ts';
import { LOOPBACK6 } from './subnets6.ts';
import { isForeignLink } from './subnets.ts';
import { netnsSteps } from './netns-steps.ts';

export interface CompiledNetwork {
  readonly steps: readonly Step[];
  /**
   * File of the namespace that the process joins; absent: the host's, or that of a container in the bundle's `join`.
   */
  readonly netnsPath?: string;
  readonly lease?: Lease;
}

export function compileNetwork(
  spec: Spec,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): CompiledNetwork {
  const namespace = spec.namespaces.network;
  if (namespace.mode === 'path') return { steps: [], netnsPath: namespace.path };
  if (spec.network.mode === 'host' || namespace.mode !== 'private') return { steps: [] };

  const netns = netnsOf(spec.name);
  const netnsPath = netnsFile(netns);
  const base = netnsSteps(spec);
  if (spec.network.mode === 'none') return { steps: base, netnsPath };

  const link = hostLink(spec);
  checkBridge(spec, facts, problems);
  checkMtu(spec, link, facts, problems, together);
  checkPrograms(facts, problems);
  const lease4 = chooseLease(spec, link, facts, problems, together);
  if (lease4 === undefined) {
    checkPorts(spec, undefined, facts, problems, together);
    return { steps: base, netnsPath };
  }
  checkMac(spec, lease4, facts, problems, together);
  const network6 = chooseNetwork6(spec, link, facts, problems, together);
  const address6 = chooseAddress6(spec, lease4, network6, facts, problems, together);
  const lease: Lease =
    network6 === undefined || address6 === undefined ? lease4 : { ...lease4, ...network6, address6 };
  checkPorts(spec, lease, facts, problems, together);
  checkFirewall(spec, lease, facts, problems);
  const links = linkSteps(spec, lease, network6, netns, facts);
  return {
    steps: [
      ...base,
      ...links,
      ...firewallSteps(spec, lease, facts),
      ...dockerSteps(spec, lease, facts, vethName(spec.name)),
    ],
    netnsPath,
    lease,
  };
}

function checkBridge({ network }: Spec, facts: HostFacts, problems: Problems): void {
  if (network.mode !== 'bridge') return;
  const found = facts.network.links.find((one) => one.name === network.bridge);
  if (found === undefined || found.kind === 'bridge') return;
  const what = found.kind === undefined ? 'a link' : `a link of the kind ${found.kind}`;
  problems.error(
    'no-bridge',
    ['network', 'bridge'],
    `${network.bridge} is ${what}, not a bridge`,
    'choose another network.bridge',
  );
}

function checkPrograms({ programs }: HostFacts, problems: Problems): void {
  if (programs['nft'] !== undefined) return;
  problems.error(
    'no-nft',
    ['network'],
    'nft is not installed; it separates networks, publishes ports and makes nat',
    'apt-get install nftables, or use network.mode none or host; runspec doctor says more',
  );
}

function hostLink(spec: Spec): string {
  return spec.network.mode === 'bridge' ? spec.network.bridge : vethName(spec.name);
}

function linkSteps(
  spec: Spec,
  lease: Lease,
  network6: Network6 | undefined,
  netns: string,
  facts: HostFacts,
): readonly Step[] {
  const { network } = spec;
  const prefix = lease.subnet.split('/')[1] ?? '24';
  const mtu = mtuOf(spec, facts);
  const vethId = `veth:${network.interface}`;
  const forward = forwardingKeys(lease).map((key): Step => ({
    id: `sysctl:${key}`,
    op: 'sysctl',
    key,
    value: '1',
    needs: [],
    after: [],
    shared: true,
  }));
  const hostAddress6 =
    network6 === undefined ? {} : { address6: withPrefix(network6.gateway6, network6.subnet6) };
  const pair = {
    id: vethId,
    op: 'veth',
    link: vethName(spec.name),
    alias: ownerOf(spec.name),
    netns,
    interface: network.interface,
    mtu,
    mac: macIn(spec, lease),
    after: [],
  } as const;
  const address: Step = {
    id: `address:${network.interface}`,
    op: 'address',
    netns,
    interface: network.interface,
    address: `${lease.address}/${prefix}`,
    gateway: lease.gateway,
    ...(lease.address6 === undefined || lease.subnet6 === undefined || lease.gateway6 === undefined
      ? {}
      : { address6: withPrefix(lease.address6, lease.subnet6), gateway6: lease.gateway6 }),
    needs: [vethId],
    after: [],
  };
  if (network.mode === 'veth') {
    const host = { address: `${lease.gateway}/${prefix}`, ...hostAddress6 };
    return [...forward, { ...pair, needs: [`netns:${netns}`], ...host }, address];
  }
  const bridgeId = `bridge:${network.bridge}`;
  return [
    ...forward,
    {
      id: bridgeId,
      op: 'bridge',
      name: network.bridge,
      address: `${lease.gateway}/${prefix}`,
      ...hostAddress6,
      mtu,
      needs: [],
      // On the way back a bridge that still has our address would be taken for one that needs forwarding.
      after: forward.map(({ id }) => id),
      shared: true,
    },
    // `after` and not `needs`: a pair that lost its bridge joins the new one, and the container keeps its interface.
    {
      ...pair,
      needs: [`netns:${netns}`],
      after: [bridgeId],
      bridge: network.bridge,
      ...(network.ports.length === 0 ? {} : { hairpin: true }),
    },
    address,
  ];
}

function firewallSteps(spec: Spec, lease: Lease, facts: HostFacts): readonly Step[] {
  const table = 'nft:table';
  const isBridge = spec.network.mode === 'bridge';
  const owner = ownerOf(spec.name);
  const element = (
    id: string,
    fields: Pick<NftElementStep, 'set' | 'key'> & { value?: string },
    comment: string,
  ): NftElementStep => ({
    id,
    op: 'nft-element',
    table: NFT_TABLE,
    ...fields,
    comment,
    needs: [table],
    after: [],
    with: [table],
  });
  const linkElement = (id: string, set: string, key: string): Step =>
    isBridge ? { ...element(id, { set, key }, OURS), shared: true } : element(id, { set, key }, owner);
  return [
    {
      id: table,
      op: 'nft-table',
      table: NFT_TABLE,
      ...FIREWALL,
      needs: [],
      after: forwardingKeys(lease).map((key) => `sysctl:${key}`),
      shared: true,
    },
    ...(isForeignLink(lease.link, facts) ? [linkElement(`joined:${lease.link}`, 'joined', lease.link)] : []),
    linkElement(`network:${lease.link}`, 'networks', lease.link),
    linkElement(`within:${lease.link}`, 'within', `${lease.link} . ${lease.link}`),
    ...(['ipv4', 'ipv6'] as const).flatMap((family) => {
      const address = family === 'ipv4' ? lease.address : lease.address6;
      if (address === undefined) return [];
      const suffix = family === 'ipv4' ? '' : '6';
      return [
        element(`member:${address}`, { set: `members${suffix}`, key: address }, owner),
        ...(spec.network.nat
          ? [element(`nat:${address}`, { set: `sources${suffix}`, key: address }, owner)]
          : []),
        ...spec.network.ports
          .filter((port) => familiesOf(port.hostIP).includes(family))
          .map((port) => {
            const value = `${address} . ${port.containerPort}`;
            return element(portId(port, family), { ...portKey(port, suffix), value }, owner);
          }),
      ];
    }),
    ...loopbackSteps(spec, lease),
  ];
}

function portId(port: PortSpec, family: 'ipv4' | 'ipv6'): string {
  const address = isWildcard(port.hostIP) || port.hostIP === undefined ? '' : `${bracketed(port.hostIP)}:`;
  // A port on all addresses is two elements, one for each family.
  return `port${family === 'ipv6' && address === '' ? '6' : ''}:${port.protocol}/${address}${port.hostPort}`;
}

function portKey(port: PortSpec, suffix: '' | '6'): { readonly set: string; readonly key: string } {
  const key = `${port.protocol} . ${port.hostPort}`;
  return isWildcard(port.hostIP)
    ? { set: `ports${suffix}`, key }
    : { set: `ports${suffix}_on`, key: `${port.hostIP} . ${key}` };
}

/** The nft-ingress step, only for containers that publish a port on ::1, alone or with all addresses. */
function loopbackSteps(spec: Spec, lease: Lease): readonly Step[] {
  const { address6 } = lease;
  const onLoopback = spec.network.ports.some(
    ({ hostIP }) => hostIP === '::1' || (isWildcard(hostIP) && familiesOf(hostIP).includes('ipv6')),
  );
  if (address6 === undefined || !onLoopback) return [];
  const link = vethName(spec.name);
  return [
    {
      id: `ingress:${link}`,
      op: 'nft-ingress',
      table: ingressTableOf(spec.name),
      link,
      address: address6,
      loopback: LOOPBACK6,
      needs: [`veth:${spec.network.interface}`],
      after: [],
    },
  ];
}

function forwardingKeys(lease: Lease): readonly string[] {
  return ['net.ipv4.ip_forward', ...(lease.address6 === undefined ? [] : ['net.ipv6.conf.all.forwarding'])];
}

/** The address with the prefix length of its subnet. */
function withPrefix(address: string, subnet: string): string {
  return `${address}/${subnet.split('/')[1] ?? '64'}`;
}

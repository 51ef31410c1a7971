// The network of one container as steps: namespace, bridge, veth pair, address, firewall elements.
import { createHash } from 'node:crypto';
import type { PortSpec, Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import { FIREWALL, NFT_TABLE } from './firewall.ts';
import { chooseLease } from './lease.ts';
import type { Lease, NftElementStep, Step } from './plan.ts';
import { checkPorts } from './ports.ts';
import type { Problems } from './problems.ts';

/** Alias of a bridge that runspec has made. */
const OWN_BRIDGE = 'runspec';

export interface CompiledNetwork {
  readonly steps: readonly Step[];
  /** Namespace the process joins; absent: the host's. */
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

  const netns = `runspec-${spec.name}`;
  const netnsPath = `/run/netns/${netns}`;
  const base: readonly Step[] = [
    { id: 'mount:/run/netns', op: 'netns-folder', needs: [], after: [], shared: true },
    { id: `netns:${netns}`, op: 'netns', name: netns, needs: ['mount:/run/netns'], after: [] },
  ];
  if (spec.network.mode === 'none') return { steps: base, netnsPath };

  checkPorts(spec, facts, problems);
  const link = hostLink(spec);
  checkBridge(spec, facts, problems);
  const lease = chooseLease(spec, link, facts, problems);
  if (lease === undefined) return { steps: base, netnsPath };
  const steps = [...base, ...linkSteps(spec, lease, netns, facts, together), ...firewallSteps(spec, lease)];
  return { steps, netnsPath, lease };
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

/** The host end of the veth pair: `rs` and 8 hex digits, as link names hold 15 characters. */
export function vethName(name: string): string {
  return `rs${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}

function hostLink(spec: Spec): string {
  return spec.network.mode === 'bridge' ? spec.network.bridge : vethName(spec.name);
}

function linkSteps(
  spec: Spec,
  lease: Lease,
  netns: string,
  facts: HostFacts,
  together: readonly Spec[],
): readonly Step[] {
  const { network } = spec;
  const prefix = lease.subnet.split('/')[1] ?? '24';
  const mtu = mtuOf(spec, facts);
  const vethId = `veth:${network.interface}`;
  const forward: Step = {
    id: 'sysctl:net.ipv4.ip_forward',
    op: 'sysctl',
    key: 'net.ipv4.ip_forward',
    value: '1',
    needs: [],
    after: [],
    shared: true,
  };
  const pair = {
    id: vethId,
    op: 'veth',
    link: vethName(spec.name),
    alias: `runspec:${spec.name}`,
    netns,
    interface: network.interface,
    mtu,
    mac: network.mac?.toLowerCase() ?? macOf(lease.address),
    after: [],
  } as const;
  const address: Step = {
    id: `address:${network.interface}`,
    op: 'address',
    netns,
    interface: network.interface,
    address: `${lease.address}/${prefix}`,
    gateway: lease.gateway,
    needs: [vethId],
    after: [],
  };
  if (network.mode === 'veth') {
    return [forward, { ...pair, needs: [`netns:${netns}`], address: `${lease.gateway}/${prefix}` }, address];
  }
  const bridgeId = `bridge:${network.bridge}`;
  return [
    forward,
    {
      id: bridgeId,
      op: 'bridge',
      name: network.bridge,
      address: `${lease.gateway}/${prefix}`,
      mtu: bridgeMtu(spec, facts, together),
      needs: [],
      after: [],
      shared: true,
    },
    // Only after the bridge: a pair that lost its bridge joins the new one, and the container keeps its interface.
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

function firewallSteps(spec: Spec, lease: Lease): readonly Step[] {
  const table = 'nft:table';
  const isBridge = spec.network.mode === 'bridge';
  const owner = `runspec:${spec.name}`;
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
  });
  const linkElement = (id: string, set: string, key: string): Step =>
    isBridge ? { ...element(id, { set, key }, 'runspec'), shared: true } : element(id, { set, key }, owner);
  return [
    {
      id: table,
      op: 'nft-table',
      table: NFT_TABLE,
      ...FIREWALL,
      needs: [],
      after: ['sysctl:net.ipv4.ip_forward'],
      shared: true,
    },
    linkElement(`network:${lease.link}`, 'networks', lease.link),
    linkElement(`within:${lease.link}`, 'within', `${lease.link} . ${lease.link}`),
    element(`member:${lease.address}`, { set: 'members', key: lease.address }, owner),
    ...(spec.network.nat
      ? [element(`nat:${lease.address}`, { set: 'sources', key: lease.address }, owner)]
      : []),
    ...spec.network.ports.map((port) =>
      element(portId(port), { ...portKey(port), value: `${lease.address} . ${port.containerPort}` }, owner),
    ),
  ];
}

function portId(port: PortSpec): string {
  return `port:${port.protocol}/${port.hostIP === undefined ? '' : `${port.hostIP}:`}${port.hostPort}`;
}

function portKey(port: PortSpec): { readonly set: string; readonly key: string } {
  const key = `${port.protocol} . ${port.hostPort}`;
  return port.hostIP === undefined
    ? { set: 'ports', key }
    : { set: 'ports_on', key: `${port.hostIP} . ${key}` };
}

function mtuOf({ network }: Spec, facts: HostFacts): number {
  return network.mtu ?? egressMtu(facts);
}

/** The least of all ports, so that each container wants the same of the bridge they share; another's keeps its own. */
function bridgeMtu(spec: Spec, facts: HostFacts, together: readonly Spec[]): number {
  const { bridge } = spec.network;
  const link = facts.network.links.find((one) => one.name === bridge);
  if (link !== undefined && link.alias !== OWN_BRIDGE) return link.mtu;
  const here = together.filter((other) => other.network.mode === 'bridge' && other.network.bridge === bridge);
  const names = new Set([spec.name, ...here.map((other) => other.name)]);
  const elsewhere = Object.entries(facts.containers).some(
    ([name, { lease }]) => !names.has(name) && lease?.link === bridge,
  );
  const present = elsewhere && link !== undefined ? [link.mtu] : [];
  return Math.min(mtuOf(spec, facts), ...here.map((other) => mtuOf(other, facts)), ...present);
}

/** The mtu of the link that the default route takes, so that packets of a container need no fragments. */
function egressMtu(facts: HostFacts): number {
  const egress = facts.network.routes.find((route) => route.destination === '0.0.0.0/0');
  return facts.network.links.find((link) => link.name === egress?.link)?.mtu ?? 1500;
}

/** A locally administered MAC address made of the IPv4 address, as Docker does. */
function macOf(address: string): string {
  return ['02', '42', ...address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))].join(
    ':',
  );
}

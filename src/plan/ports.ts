// Checks that the ports a spec publishes are free: not published by other containers, and no process listens on them.
import { bracketed, describePort, familiesOf, isWildcard, overlap } from '../load/ports.ts';
import type { PortSpec, Spec } from '../load/spec.ts';
import type { HostFacts, ListeningSocket } from './facts.ts';
import type { Lease } from './plan.ts';
import type { Problems } from './problems.ts';

/**
 * @param lease undefined when no address could be had, which chooseLease has reported.
 * @param together all specs of the call: they may hand ports over to each other.
 */
export function checkPorts(
  spec: Spec,
  lease: Lease | undefined,
  facts: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): void {
  const own = facts.containers[spec.name]?.ports ?? [];
  spec.network.ports.forEach((port, index) => {
    const path = ['network', 'ports', index];
    const shown = describePort(port);
    if (lease !== undefined && lease.address6 === undefined && !familiesOf(port.hostIP).includes('ipv4')) {
      problems.error(
        'no-ipv6',
        path,
        `port ${shown} cannot be published: the container has no IPv6 address`,
        'set network.ipv6 to true, or publish on an IPv4 address',
      );
      return;
    }
    const isPublished = own.some(
      (other) =>
        other.hostPort === port.hostPort && other.protocol === port.protocol && other.hostIP === port.hostIP,
    );
    if (port.hostIP !== undefined && !isOwnAddress(port.hostIP, facts)) {
      const isIpv6 = port.hostIP.includes(':');
      const known = facts.network.addresses
        .map((one) => one.address)
        .filter((one) => one.includes(':') === isIpv6);
      // The address of a published port may go and come back, as with DHCP: a warning lets apply repair the rest.
      const tell = isPublished ? problems.warning : problems.error;
      tell(
        'not-an-address',
        path,
        `${port.hostIP} is not an address of this host`,
        `it has ${[...new Set(known)].join(', ')}`,
      );
    }
    const holder = Object.entries(facts.containers).find(
      ([name, container]) =>
        name !== spec.name &&
        !together.some((one) => one.name === name) &&
        container.ports.some((other) => overlap(port, other)),
    );
    if (holder !== undefined) {
      problems.error(
        'port-taken',
        path,
        `port ${shown} is published by container ${holder[0]}`,
        `choose another host port, or: runspec down ${holder[0]}`,
      );
      return;
    }
    // A port that we publish already is translated before any socket sees it: a later listener is drift, no error.
    if (isPublished) return;
    const elsewhere = facts.portsElsewhere.find((other) => overlap(port, other));
    if (elsewhere !== undefined) {
      const { container, where } = elsewhere;
      const down =
        where === undefined
          ? `runspec down ${container}`
          : `take it down with the --data-dir and --state-dir that it was applied with`;
      problems.error(
        'port-taken',
        path,
        `port ${shown} is published by container ${container}${where === undefined ? '' : ` of ${where}`}`,
        `choose another host port, or: ${down}`,
      );
      return;
    }
    const socket = facts.listening.find((one) => listensOn(one, port) && !endsWithCall(one, spec, facts));
    if (socket !== undefined) {
      problems.error(
        'port-taken',
        path,
        `port ${shown} is in use: ${showOwner(socket, facts)} listens on ${showSocket(socket)}`,
        hintOn(socket, facts, together),
      );
    }
  });
}

function listensOn(socket: ListeningSocket, port: PortSpec): boolean {
  if (socket.protocol !== port.protocol || socket.port !== port.hostPort) return false;
  if (port.hostIP === undefined || socket.address === port.hostIP) return true;
  // An IPv6 wildcard socket takes IPv4 too, unless it says otherwise, which /proc does not show.
  if (socket.address === '::') return true;
  const isSameFamily = socket.address.includes(':') === port.hostIP.includes(':');
  return isSameFamily && (isWildcard(socket.address) || isWildcard(port.hostIP));
}

/** A process in the network of the host, or of another container, ends when its container gets a network of its own. */
function endsWithCall({ owner }: ListeningSocket, { name }: Spec, { containers }: HostFacts): boolean {
  return owner?.container === name && containers[name] !== undefined && containers[name].ownsNetwork !== true;
}

/** The container whose process listens, if it has a record here. */
function containerOf({ owner }: ListeningSocket, { containers }: HostFacts): string | undefined {
  const name = owner?.container;
  return name === undefined || containers[name] === undefined ? undefined : name;
}

function showOwner(socket: ListeningSocket, facts: HostFacts): string {
  const { owner } = socket;
  if (owner === undefined) return 'a process';
  const container = containerOf(socket, facts);
  const of = container === undefined ? '' : ` of container ${container}`;
  return `${owner.command} (pid ${owner.pid})${of}`;
}

function hintOn(socket: ListeningSocket, facts: HostFacts, together: readonly Spec[]): string {
  const container = containerOf(socket, facts);
  if (container === undefined) return 'stop it, or choose another host port';
  // Within a call only published ports are handed over: nothing waits for the process of another container to end.
  const leavesHost = together.some(
    ({ name, network, namespaces }) =>
      name === container && network.mode !== 'host' && namespaces.network.mode === 'private',
  );
  return leavesHost
    ? `apply ${container} by itself first, or choose another host port`
    : `choose another host port, or: runspec down ${container}`;
}

function isOwnAddress(address: string, facts: HostFacts): boolean {
  if (isWildcard(address) || address.startsWith('127.')) return true;
  return facts.network.addresses.some((one) => one.address === address);
}

function showSocket(socket: ListeningSocket): string {
  return `${bracketed(socket.address)}:${socket.port}`;
}

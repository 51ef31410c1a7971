// Whether the ports a spec publishes are free: of other containers, and of processes that listen.
import type { PortSpec, Spec } from '../load/spec.ts';
import type { HostFacts, ListeningSocket } from './facts.ts';
import type { Problems } from './problems.ts';

export function checkPorts(spec: Spec, facts: HostFacts, problems: Problems): void {
  const own = facts.containers[spec.name]?.ports ?? [];
  spec.network.ports.forEach((port, index) => {
    const path = ['network', 'ports', index];
    const shown = showPort(port);
    if (port.hostIP?.includes(':') === true) {
      problems.error(
        'not-supported',
        path,
        `port ${shown} cannot be published: containers have IPv4 addresses only`,
        'publish on an IPv4 address, or on all of them',
      );
      return;
    }
    if (port.hostIP !== undefined && !isOwnAddress(port.hostIP, facts)) {
      const known = facts.network.addresses.map((one) => one.address).filter((one) => !one.includes(':'));
      problems.error(
        'not-an-address',
        path,
        `${port.hostIP} is not an address of this host`,
        `it has ${[...new Set(known)].join(', ')}`,
      );
    }
    const holder = Object.entries(facts.containers).find(
      ([name, container]) => name !== spec.name && container.ports.some((other) => collide(port, other)),
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
    // What is ours already is DNATed before any socket sees it; a listener that came later is drift, not a reason to fail.
    if (
      own.some(
        (other) =>
          other.hostPort === port.hostPort &&
          other.protocol === port.protocol &&
          other.hostIP === port.hostIP,
      )
    )
      return;
    const socket = facts.listening.find((one) => listensOn(one, port));
    if (socket !== undefined) {
      const owner =
        socket.owner === undefined ? 'a process' : `${socket.owner.command} (pid ${socket.owner.pid})`;
      problems.error(
        'port-taken',
        path,
        `port ${shown} is in use: ${owner} listens on ${showSocket(socket)}`,
        'stop it, or choose another host port',
      );
    }
  });
}

function collide(port: PortSpec, other: Pick<PortSpec, 'protocol' | 'hostPort' | 'hostIP'>): boolean {
  if (port.protocol !== other.protocol || port.hostPort !== other.hostPort) return false;
  return port.hostIP === undefined || other.hostIP === undefined || port.hostIP === other.hostIP;
}

function listensOn(socket: ListeningSocket, port: PortSpec): boolean {
  if (socket.protocol !== port.protocol || socket.port !== port.hostPort) return false;
  if (port.hostIP === undefined) return true;
  // An IPv6 wildcard socket takes IPv4 too, unless it says otherwise, which /proc does not show.
  return socket.address === '0.0.0.0' || socket.address === '::' || socket.address === port.hostIP;
}

function isOwnAddress(address: string, facts: HostFacts): boolean {
  return address.startsWith('127.') || facts.network.addresses.some((one) => one.address === address);
}

function showPort(port: PortSpec): string {
  return `${port.hostIP === undefined ? '' : `${port.hostIP}:`}${port.hostPort}/${port.protocol}`;
}

function showSocket(socket: ListeningSocket): string {
  return `${socket.address.includes(':') ? `[${socket.address}]` : socket.address}:${socket.port}`;
}

// Published ports: the short form, and when two of them exclude each other.
import { parseIp } from './addresses.ts';
import type { Parsed } from './describe.ts';
import type { PortSpec } from './spec.ts';

/** Host's side of a published port. */
type HostPort = Pick<PortSpec, 'protocol' | 'hostPort' | 'hostIP'>;

const HINT =
  'write "HOSTPORT:CONTAINERPORT" in quotes, as in "8080:80", "127.0.0.1:5353:53/udp" or "[::1]:8080:80"';

/** `[HOSTIP:]HOSTPORT:CONTAINERPORT[/tcp|/udp]`, IPv6 addresses in brackets. */
export function parsePort(input: string): Parsed<PortSpec> {
  const match = /^(?:(\[[^\]]*\]|[^:]*):)?([^:/]*):([^:/]*)(?:\/([^/]*))?$/.exec(input);
  if (match === null) {
    const problem = /^[0-9]+(\/[a-z]+)?$/.test(input)
      ? 'lacks the port of the host'
      : 'is not a port mapping';
    return { problem, hint: HINT };
  }
  const [, address, hostText = '', containerText = '', protocol = 'tcp'] = match;
  if (protocol !== 'tcp' && protocol !== 'udp') {
    return {
      problem: `has the protocol ${JSON.stringify(protocol)}`,
      hint: 'the protocol is tcp or udp, as in "5353:53/udp"',
    };
  }
  for (const text of [hostText, containerText]) {
    if (/^[0-9]+-[0-9]+$/.test(text))
      return { problem: 'is a range of ports', hint: 'write one entry for each port' };
    if (!/^[0-9]+$/.test(text)) return { problem: 'is not a port mapping', hint: HINT };
    if (Number(text) < 1 || Number(text) > 65535) {
      return { problem: `has the port ${text}`, hint: 'ports are numbers from 1 to 65535' };
    }
  }
  const ports = { hostPort: Number(hostText), containerPort: Number(containerText), protocol } as const;
  if (address === undefined) return { value: ports };
  const hostIP = parseIp(address.replace(/^\[(.*)\]$/, '$1'));
  if (!('value' in hostIP) || address.startsWith('[') !== hostIP.value.includes(':')) {
    return {
      problem: `has the host address ${JSON.stringify(address)}`,
      hint: 'write an address, as in "127.0.0.1:8080:80" or "[::1]:8080:80"',
    };
  }
  return { value: withHostIP(ports, hostIP.value) };
}

export function withHostIP(ports: Omit<PortSpec, 'hostIP'>, hostIP: string | undefined): PortSpec {
  return hostIP === undefined ? ports : { ...ports, hostIP };
}

/** Address families that a port is published in. */
export function familiesOf(hostIP: string | undefined): readonly ('ipv4' | 'ipv6')[] {
  if (hostIP === undefined) return ['ipv4', 'ipv6'];
  return [hostIP.includes(':') ? 'ipv6' : 'ipv4'];
}

/** Whether a host address stands for all addresses of its family, or of both. */
export function isWildcard(hostIP: string | undefined): boolean {
  return hostIP === undefined || hostIP === '0.0.0.0' || hostIP === '::';
}

/** Whether the host could not tell the two apart: same protocol and port, and an address in common. */
export function overlap(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  if (a.hostIP === b.hostIP) return true;
  if (!familiesOf(a.hostIP).some((family) => familiesOf(b.hostIP).includes(family))) return false;
  return isWildcard(a.hostIP) || isWildcard(b.hostIP);
}

/** Address as it stands before the colon of a port: IPv6 in brackets. */
export function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Port for messages, as in `8080/tcp` or `127.0.0.1:8080/tcp`. */
export function describePort(port: HostPort): string {
  const address = port.hostIP === undefined ? '' : `${bracketed(port.hostIP)}:`;
  return `${address}${port.hostPort}/${port.protocol}`;
}

// Network and name resolution of a document: addresses in canonical spelling that fit together.
import type { SpecPath } from '../errors.ts';
import { parseIp, parseMac } from './addresses.ts';
import { describePath, quote } from './describe.ts';
import { parseInterfaceName } from './formats.ts';
import type { Network, Port, SpecDocument } from './generated/spec-document.ts';
import { normalizeAddresses } from './normalize-addresses.ts';
import { parsePort, withHostIP } from './ports.ts';
import { accept, defined, itemsOf, type Scope } from './scope.ts';
import type { DnsSpec, NetworkSpec, PortSpec, Spec } from './spec.ts';
import { sortKeys } from './sort-keys.ts';

/** Most name servers: resolvers read three lines (resolv.conf(5)). */
const MOST_SERVERS = 3;
const NOTHING = { bridge: 'runspec0', interface: 'eth0', nat: true, ports: [] } as const;

export function normalizeNetwork(
  document: SpecDocument,
  namespaces: Spec['namespaces'],
  scope: Scope,
): NetworkSpec {
  const { network } = document;
  const joined = namespaces.network.mode;
  if (network === undefined) return { mode: joined === 'host' ? 'host' : 'none', ...NOTHING };
  const mode = network.mode ?? 'bridge';
  const expected = mode === 'host' ? 'host' : 'private';
  if (joined !== expected) {
    scope.report({
      code: 'conflict',
      message: `network has the mode ${mode}, but namespaces.network is ${quote(document.namespaces?.network)}`,
      hint:
        mode === 'host'
          ? 'remove namespaces.network'
          : 'remove network, or set namespaces.network to private',
      path: ['namespaces', 'network'],
    });
  }
  refuseKeys(network, mode, scope);
  if (mode === 'host' || mode === 'none') return { mode, ...NOTHING };
  return {
    mode,
    ...normalizeAddresses(network, scope),
    bridge: normalizeInterface(network.bridge, 'runspec0', 'bridge', scope),
    interface: normalizeInterface(network.interface, 'eth0', 'interface', scope),
    ...defined({
      mtu: network.mtu,
      mac:
        network.mac === undefined
          ? undefined
          : accept(scope, 'mac', parseMac(network.mac), ['network', 'mac'], network.mac),
    }),
    nat: network.nat ?? true,
    ports: normalizePorts(network, scope),
  };
}

/** Refuses keys that would have no effect in `mode`: nothing asked for is dropped silently. */
function refuseKeys(network: Network, mode: NetworkSpec['mode'], scope: Scope): void {
  if (mode === 'bridge') return;
  for (const key of Object.keys(network)) {
    if (key === 'mode' || (mode === 'veth' && key !== 'bridge')) continue;
    scope.report({
      code: 'needless-key',
      message: `network.${key} has no effect with mode ${mode}`,
      hint: mode === 'veth' ? 'remove bridge, or set mode to bridge' : `remove ${key}, or set mode to bridge`,
      path: ['network', key],
      atKey: true,
    });
  }
}

function normalizeInterface(name: string | undefined, fallback: string, key: string, scope: Scope): string {
  if (name === undefined) return fallback;
  return accept(scope, 'interfaceName', parseInterfaceName(name), ['network', key], name) ?? fallback;
}

function normalizePorts(network: Network, scope: Scope): readonly PortSpec[] {
  return itemsOf(network.ports).flatMap(([index, input]) => {
    const path = ['network', 'ports', index];
    const port = normalizePort(input, path, scope);
    if (port === undefined) return [];
    scope.publish(port, path);
    return [port];
  });
}

function normalizePort(port: Port, path: SpecPath, scope: Scope): PortSpec | undefined {
  if (typeof port === 'string') return accept(scope, 'port', parsePort(port), path, port);
  const { hostPort, containerPort, protocol = 'tcp', hostIP } = port;
  const address =
    hostIP === undefined ? undefined : accept(scope, 'ip', parseIp(hostIP), [...path, 'hostIP'], hostIP);
  return withHostIP({ hostPort, containerPort, protocol }, address);
}

export function normalizeDns(document: SpecDocument, scope: Scope): DnsSpec {
  const { dns = {} } = document;
  const servers =
    dns.servers &&
    itemsOf(dns.servers).map(([index, server]) => normalizeIp(server, ['dns', 'servers', index], scope));
  if (servers !== undefined && servers.length > MOST_SERVERS) {
    const path = ['dns', 'servers', MOST_SERVERS];
    scope.report({
      code: 'too-many-servers',
      severity: 'warning',
      message: `${describePath(path)} and later ones are not asked`,
      hint: `resolvers use the first ${MOST_SERVERS} servers`,
      path,
    });
  }
  return {
    ...defined({
      servers,
      search: dns.search && itemsOf(dns.search).map(([, domain]) => domain),
      options: dns.options && itemsOf(dns.options).map(([, option]) => option),
    }),
    hosts: sortKeys(
      Object.entries(dns.hosts ?? {}).map(([name, ip]) => [
        name,
        normalizeIp(ip, ['dns', 'hosts', name], scope),
      ]),
    ),
  };
}

function normalizeIp(input: string, path: SpecPath, scope: Scope): string {
  return accept(scope, 'ip', parseIp(input), path, input) ?? input;
}

// The text of /etc/resolv.conf and /etc/hosts of a container.
import type { Spec } from '../load/spec.ts';
import type { ResolverFacts } from './facts.ts';
import type { Lease } from './plan.ts';

export function renderResolvConf(spec: Spec, host: ResolverFacts, lease: Lease | undefined): string {
  const servers = spec.dns.servers ?? serversOf(spec, host, lease);
  const search = spec.dns.search ?? host.search;
  const options = spec.dns.options ?? host.options;
  return [
    ...(search.length === 0 ? [] : [`search ${search.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
    '',
  ].join('\n');
}

function serversOf(spec: Spec, host: ResolverFacts, lease: Lease | undefined): readonly string[] {
  if (spec.network.mode === 'host') return host.local;
  // The name of an interface in an address, as in fe80::1%eth0, means nothing in another namespace.
  const reachable = host.servers.filter((server) => !server.includes('%'));
  if (lease === undefined || lease.address6 !== undefined) return reachable;
  const ipv4 = reachable.filter((server) => !server.includes(':'));
  return ipv4.length === 0 ? reachable : ipv4;
}

export function renderHosts(spec: Spec, lease: Lease | undefined): string {
  // A hostname of several labels is reached by its first one as well, as Docker does.
  const names = [...new Set([spec.hostname, spec.hostname.split('.')[0] ?? spec.hostname])].join(' ');
  return [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'ff00::0\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
    `${lease?.address ?? '127.0.1.1'}\t${names}`,
    ...(lease?.address6 === undefined ? [] : [`${lease.address6}\t${names}`]),
    ...Object.entries(spec.dns.hosts).map(([name, address]) => `${address}\t${name}`),
    '',
  ].join('\n');
}

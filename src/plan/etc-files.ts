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

/**
 * Text of /etc/hosts. Names in `dns.hosts` are left out of our own lines, even localhost and the hostname: of several
 * lines for a name some C libraries take the first, and others all.
 */
export function renderHosts(spec: Spec, lease: Lease | undefined): string {
  // A hostname of several labels is reached by its first one as well, as Docker does.
  const names = [spec.hostname, spec.hostname.split('.')[0] ?? spec.hostname];
  const ours: readonly (readonly [address: string, names: readonly string[]])[] = [
    ['127.0.0.1', ['localhost']],
    ['::1', ['localhost', 'ip6-localhost', 'ip6-loopback']],
    ['fe00::0', ['ip6-localnet']],
    ['ff00::0', ['ip6-mcastprefix']],
    ['ff02::1', ['ip6-allnodes']],
    ['ff02::2', ['ip6-allrouters']],
    [lease?.address ?? '127.0.1.1', names],
    ...(lease?.address6 === undefined ? [] : [[lease.address6, names] as const]),
  ];
  const given = new Set(Object.keys(spec.dns.hosts).map((name) => name.toLowerCase()));
  const left = ours.flatMap(([address, all]) => {
    const free = [...new Set(all)].filter((name) => !given.has(name.toLowerCase()));
    return free.length === 0 ? [] : [`${address}\t${free.join(' ')}`];
  });
  const theirs = Object.entries(spec.dns.hosts).map(([name, address]) => `${address}\t${name}`);
  return [...left, ...theirs, ''].join('\n');
}

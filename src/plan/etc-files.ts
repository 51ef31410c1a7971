// The text of /etc/resolv.conf and /etc/hosts of a container.
import type { Spec } from '../load/spec.ts';
import type { ResolverFacts } from './facts.ts';
import type { Lease } from './plan.ts';

export function renderResolvConf(spec: Spec, host: ResolverFacts): string {
  const servers = spec.dns.servers ?? (spec.network.mode === 'host' ? host.local : host.servers);
  const search = spec.dns.search ?? host.search;
  const options = spec.dns.options ?? host.options;
  return [
    ...(search.length === 0 ? [] : [`search ${search.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
    '',
  ].join('\n');
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
    ...Object.entries(spec.dns.hosts).map(([name, address]) => `${address}\t${name}`),
    '',
  ].join('\n');
}

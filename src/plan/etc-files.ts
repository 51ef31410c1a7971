// The text of /etc/resolv.conf, /etc/hosts and /etc/hostname of a container. Who joins the network namespace of another
// finds names by that one's files, but for what its own spec says; who has not a uts namespace of its own, the host name there.
import type { DnsSpec, Spec } from '../load/spec.ts';
import type { EtcFiles, HostFacts, ResolverFacts } from './facts.ts';
import type { Lease, Step } from './plan.ts';

export function renderEtcFiles(spec: Spec, facts: HostFacts, lease: Lease | undefined): EtcFiles {
  const { network } = spec.namespaces;
  const joined = network.mode === 'container' ? facts.containers[network.container]?.etc : undefined;
  const hostname = hostnameOf(spec, facts);
  const base = joined === undefined ? LOOPBACK : parseHosts(joined.hosts);
  return {
    resolvConf:
      joined === undefined
        ? renderResolvConf(spec, facts.resolver, lease)
        : renderWords(wordsOver(spec.dns, joined.resolvConf)),
    hosts: renderHosts(spec.dns, hostname, base, addressesIn(lease, base, joined)),
    hostname: `${hostname}\n`,
  };
}

/** Of a plan, as a record has it. */
export function etcFilesOf(steps: readonly Step[]): EtcFiles | undefined {
  const [resolvConf, hosts, hostname] = ['resolv.conf', 'hosts', 'hostname'].map((name) => {
    const step = steps.find(({ id }) => id === `file:/etc/${name}`);
    return step?.op === 'file' ? step.text : undefined;
  });
  if (resolvConf === undefined || hosts === undefined || hostname === undefined) return undefined;
  return { resolvConf, hosts, hostname };
}

/** That of a namespace at a path nobody knows without entering it. */
function hostnameOf({ namespaces: { uts }, hostname }: Spec, facts: HostFacts): string {
  const other =
    uts.mode === 'container'
      ? facts.containers[uts.container]?.etc?.hostname
      : uts.mode === 'host'
        ? facts.hostname
        : undefined;
  return other?.trim() ?? hostname;
}

/** Of the network that the container is in: those that the one it joins has by its name. */
function addressesIn(
  lease: Lease | undefined,
  base: readonly HostsLine[],
  joined: EtcFiles | undefined,
): readonly string[] {
  const name = joined?.hostname.trim();
  const found = lease
    ? [lease.address, ...(lease.address6 === undefined ? [] : [lease.address6])]
    : base.flatMap(([address, names]) => (name !== undefined && names.includes(name) ? [address] : []));
  return found.length === 0 ? ['127.0.1.1'] : found;
}

type ResolverWords = Pick<ResolverFacts, 'servers' | 'search' | 'options'>;

function renderWords({ servers, search, options }: ResolverWords): string {
  return [
    ...(search.length === 0 ? [] : [`search ${search.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
    '',
  ].join('\n');
}

/** What the spec says, and where it says nothing what the text does, which is one of ours. */
function wordsOver(dns: DnsSpec, text: string): ResolverWords {
  const wordsOf = (keyword: string): readonly string[] =>
    text.split('\n').flatMap((line) => {
      const [first, ...words] = line.split(' ');
      return first === keyword ? words : [];
    });
  return {
    servers: dns.servers ?? wordsOf('nameserver'),
    search: dns.search ?? wordsOf('search'),
    options: dns.options ?? wordsOf('options'),
  };
}

function renderResolvConf(spec: Spec, host: ResolverFacts, lease: Lease | undefined): string {
  const { servers = serversOf(spec, host, lease), search = host.search, options = host.options } = spec.dns;
  return renderWords({ servers, search, options });
}

function serversOf(spec: Spec, host: ResolverFacts, lease: Lease | undefined): readonly string[] {
  if (spec.network.mode === 'host') return host.local;
  // The name of an interface in an address, as in fe80::1%eth0, means nothing in another namespace.
  const reachable = host.servers.filter((server) => !server.includes('%'));
  if (lease === undefined || lease.address6 !== undefined) return reachable;
  const ipv4 = reachable.filter((server) => !server.includes(':'));
  return ipv4.length === 0 ? reachable : ipv4;
}

type HostsLine = readonly [address: string, names: readonly string[]];

const LOOPBACK: readonly HostsLine[] = [
  ['127.0.0.1', ['localhost']],
  ['::1', ['localhost', 'ip6-localhost', 'ip6-loopback']],
  ['fe00::0', ['ip6-localnet']],
  ['ff00::0', ['ip6-mcastprefix']],
  ['ff02::1', ['ip6-allnodes']],
  ['ff02::2', ['ip6-allrouters']],
];

function parseHosts(text: string): readonly HostsLine[] {
  return text.split('\n').flatMap((line): readonly HostsLine[] => {
    const [address, names] = line.split('\t');
    return address === undefined || names === undefined ? [] : [[address, names.split(' ')]];
  });
}

/**
 * A name that the spec gives an address stands in no line of ours, be it localhost or the container's own: of several
 * lines the first one counts, or all do, by the C library.
 *
 * @param base lines before the container's own, which has no names that are there already.
 */
function renderHosts(
  { hosts }: DnsSpec,
  hostname: string,
  base: readonly HostsLine[],
  addresses: readonly string[],
): string {
  const known = new Set(base.flatMap(([, names]) => names));
  // A hostname of several labels is reached by its first one as well, as Docker does.
  const names = [hostname, hostname.split('.')[0] ?? hostname].filter((name) => !known.has(name));
  const ours = [...base, ...addresses.map((address): HostsLine => [address, names])];
  const given = new Set(Object.keys(hosts).map((name) => name.toLowerCase()));
  const left = ours.flatMap(([address, all]) => {
    const free = [...new Set(all)].filter((name) => !given.has(name.toLowerCase()));
    return free.length === 0 ? [] : [`${address}\t${free.join(' ')}`];
  });
  const theirs = Object.entries(hosts).map(([name, address]) => `${address}\t${name}`);
  return [...left, ...theirs, ''].join('\n');
}

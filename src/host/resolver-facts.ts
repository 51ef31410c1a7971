// The host's name servers, as a container can reach them: a stub on loopback is replaced by what it forwards to.
import type { ResolverFacts } from '../plan/facts.ts';
import type { Host } from './host.ts';

/** Files in which the known stubs keep the servers they forward to. */
const UPSTREAM_FILES = ['/run/systemd/resolve/resolv.conf', '/run/NetworkManager/no-stub-resolv.conf'];

export async function readResolver(host: Host): Promise<ResolverFacts> {
  const own = parseResolvConf((await host.readText('/etc/resolv.conf')) ?? '');
  const reachable = own.servers.filter((server) => !isLoopback(server));
  if (reachable.length > 0 || own.servers.length === 0)
    return { ...own, servers: reachable, local: own.servers };
  for (const path of UPSTREAM_FILES) {
    const upstream = parseResolvConf((await host.readText(path)) ?? '').servers.filter(
      (server) => !isLoopback(server),
    );
    if (upstream.length > 0) return { ...own, servers: upstream, local: own.servers };
  }
  return { ...own, servers: [], local: own.servers };
}

function parseResolvConf(text: string): Omit<ResolverFacts, 'local'> {
  const words = text
    .split('\n')
    .filter((line) => !/^\s*[#;]/.test(line))
    .map((line) => line.trim().split(/\s+/));
  const values = (...keywords: readonly string[]): readonly (readonly string[])[] =>
    words.flatMap(([first = '', ...rest]) => (keywords.includes(first) ? [rest] : []));
  return {
    // resolv.conf(5): one server a line, of several search lines the last, and all options.
    servers: values('nameserver').flatMap(([server]) => server ?? []),
    search: values('search', 'domain').at(-1) ?? [],
    options: values('options').flat(),
  };
}

function isLoopback(server: string): boolean {
  return server.startsWith('127.') || server === '::1';
}

// Connected routes on a fake machine, and the host's routes as procfs shows them.
import { IpError, isIpv6, pairs, unknown } from './ip-words.ts';
import type { FakeLink } from './link.ts';

interface Route {
  readonly destination: string;
  readonly gateway: string;
  readonly link: string;
}

export interface Namespace {
  readonly links: Map<string, FakeLink>;
  /** By destination and family. */
  readonly routes: Map<string, Route>;
}

/** `ip route`, in the namespace that comes first. */
export function createRouteCommands({
  namespace,
  link,
}: {
  readonly namespace: (netns: string) => Namespace;
  readonly link: (netns: string, name: string) => FakeLink;
}): Readonly<Record<string, (netns: string, rest: readonly string[]) => string>> {
  const replace = (netns: string, [destination = '', ...rest]: readonly string[]): string => {
    const options = pairs(rest);
    const [gateway, name = ''] = [options.get('via'), options.get('dev')];
    const target = link(netns, name);
    if (!target.up) throw new IpError('RTNETLINK answers: Network is down');
    if (gateway === undefined) {
      target.lostRoutes = target.lostRoutes.filter((one) => one !== destination);
      return '';
    }
    if (!reaches(target, gateway)) throw new IpError('Error: Nexthop has invalid gateway.');
    const key = `${destination} ${isIpv6(gateway) ? 'inet6' : 'inet'}`;
    namespace(netns).routes.set(key, { destination, gateway, link: name });
    return '';
  };
  return {
    'route show': (netns) =>
      JSON.stringify([
        ...[...namespace(netns).links.values()].flatMap((one) =>
          connectedRoutes(one).map((dst) => ({ dst, dev: one.name })),
        ),
        ...[...namespace(netns).routes.values()].map(({ destination, gateway, link: dev }) => ({
          dst: destination,
          gateway,
          dev,
        })),
      ]),
    'route replace': replace,
    'route append': (netns, [destination = '', ...rest]) => {
      const target = link(netns, pairs(rest).get('dev') ?? '');
      if (!target.lostRoutes.includes(destination)) throw new IpError('RTNETLINK answers: File exists');
      return replace(netns, [destination, ...rest]);
    },
    'route flush': (netns, [destination = '', name]) => {
      const { links, routes } = namespace(netns);
      // `ip -6`: the only family that is flushed by itself.
      if (destination === 'default') routes.delete(`${destination} inet6`);
      else if (destination === 'table' && name === 'main') {
        routes.clear();
        for (const one of links.values()) one.lostRoutes = connectedRoutes(one);
      } else throw unknown(['route', 'flush', destination]);
      return '';
    },
    'route del': (netns, [destination = '', , name = '']) => {
      const target = link(netns, name);
      target.lostRoutes = [...target.lostRoutes, destination];
      return '';
    },
  };
}

/** The subnet of an address, in CIDR form. */
export function networkOf(address: string): string {
  const [text = '', prefix = ''] = address.split('/');
  const bytes = bytesOf(text).map((byte, index) => {
    const free = Math.min(Math.max((index + 1) * 8 - Number(prefix), 0), 8);
    return (byte >> free) << free;
  });
  return `${isIpv6(text) ? formatIpv6(bytes) : bytes.join('.')}/${prefix}`;
}

function bytesOf(address: string): readonly number[] {
  if (!isIpv6(address)) return address.split('.').map(Number);
  const [head = [], tail = []] = address
    .split('::')
    .map((half) => half.split(':').filter((word) => word !== ''));
  const words = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail];
  return words.map((word) => Number.parseInt(word, 16)).flatMap((word) => [word >> 8, word & 0xff]);
}

/** The host of a URL is shown as RFC 5952 has it. */
function formatIpv6(bytes: readonly number[]): string {
  const words = bytes.flatMap((byte, index) =>
    index % 2 === 0 ? [((byte << 8) + (bytes[index + 1] ?? 0)).toString(16)] : [],
  );
  return new URL(`http://[${words.join(':')}]/`).hostname.slice(1, -1);
}

/** Routes that the kernel makes with the addresses of a link, but for those that somebody has taken away. */
function connectedRoutes(link: FakeLink): readonly string[] {
  // That of a loopback is in the table `local`.
  if (!link.up || link.name === 'lo') return [];
  return [...new Set(link.addresses.map(networkOf))].filter((one) => !link.lostRoutes.includes(one));
}

/** Whether a connected route of the link leads to the gateway. */
function reaches(link: FakeLink, gateway: string): boolean {
  return connectedRoutes(link).some(
    (route) => networkOf(`${gateway}/${route.split('/')[1] ?? ''}`) === route,
  );
}

/** /proc/net/route or /proc/net/ipv6_route. */
export function showRoutes(links: readonly FakeLink[], family: 'inet' | 'inet6'): string {
  const rows = links.flatMap((link) =>
    connectedRoutes(link)
      .filter((route) => route.includes(':') === (family === 'inet6'))
      .map((route) => (family === 'inet6' ? showRoute6(route, link) : showRoute(route, link))),
  );
  return [...(family === 'inet' ? ['Iface\tDestination\t…'] : []), ...rows, ''].join('\n');
}

function showRoute(route: string, link: FakeLink): string {
  const [network = '', prefix] = route.split('/');
  const [mask = ''] = networkOf(`255.255.255.255/${prefix ?? ''}`).split('/');
  // In the byte order of a little-endian machine.
  const [destination, bits] = [network, mask].map((quad) => hexOf(bytesOf(quad).toReversed()));
  return `${link.name}\t${destination}\t00000000\t0001\t0\t0\t0\t${bits}\t0\t0\t0`;
}

function showRoute6(route: string, link: FakeLink): string {
  const [network = '', prefix] = route.split('/');
  const none = '0'.repeat(32);
  return `${hexOf(bytesOf(network))} ${hexOf([Number(prefix)])} ${none} 00 ${none} 00000100 00000001 00000000 00000001 ${link.name}`;
}

function hexOf(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

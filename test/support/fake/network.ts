// The links, addresses and routes of a fake machine's network namespaces, and the `ip` commands that
// change and show them. A command it does not know is an error of the test, not of the machine.
import { IpError, isIpv6, pairs, shape, splitAt, subnetOf, unknown } from './ip-words.ts';
import { dumpLink, isLinkLocal, showLink, type FakeLink } from './link.ts';
import { createRouteCommands, networkOf, showRoutes, type Namespace } from './routes.ts';

export interface FakeNetwork {
  addNamespace(name: string): void;
  removeNamespace(name: string): void;
  /** One `ip` command without options, in a namespace; '' is the host's. Gives what it prints. */
  run(netns: string, words: readonly string[]): string;
  /** In the host's own namespace. */
  hasLink(name: string): boolean;
  /** As sysfs tells it; undefined without such a link. */
  isMacSet(name: string): boolean | undefined;
  /** Writes disable_ipv6 of a link. */
  disableIpv6(netns: string, name: string, isOff: boolean): void;
  /** Of the host's own namespace, as procfs has them. */
  routes(family: 'inet' | 'inet6'): string;
  dump(): readonly string[];
  /** @returns what brings back all of it as it is now. */
  keep(): () => void;
}

/** What procfs has to do with the links of the host's own namespace. */
export interface LinkFiles {
  /** There is a folder for each. */
  onLink(name: string, isThere: boolean): void;
  /** promote_secondaries. */
  promotes(name: string): boolean;
}

/** linux/ipv6.h: a link with less has no IPv6. */
const IPV6_MIN_MTU = 1280;

export function createFakeNetwork({ onLink, promotes }: LinkFiles): FakeNetwork {
  const namespaces = new Map<string, Namespace>();
  let macs = 1;

  const namespace = (name: string): Namespace => {
    const found = namespaces.get(name);
    if (found === undefined)
      throw new IpError(`Cannot open network namespace "${name}": No such file or directory`);
    return found;
  };
  const link = (netns: string, name: string): FakeLink => {
    const found = namespace(netns).links.get(name);
    if (found === undefined) throw new IpError(`Cannot find device "${name}"`);
    return found;
  };
  const addLink = (netns: string, name: string, rest: Partial<FakeLink>): void => {
    if (namespace(netns).links.has(name)) throw new IpError('RTNETLINK answers: File exists');
    macs += 1;
    const mac = `02:00:00:00:00:${macs.toString(16).padStart(2, '0')}`;
    const fresh: FakeLink = {
      name,
      kind: undefined,
      alias: undefined,
      mtu: 1500,
      mac,
      isMacSet: false,
      group: '0',
      up: false,
      master: undefined,
      hairpin: false,
      isDisabled: false,
      addresses: [],
      isIpv6Off: false,
      lostRoutes: [],
      peer: undefined,
    };
    namespace(netns).links.set(name, { ...fresh, ...rest });
    if (netns === '') onLink(name, true);
  };
  // br_stp_recalculate_bridge_id.
  const recalculate = (netns: string, bridge: string | undefined): void => {
    const { links } = namespace(netns);
    const target = links.get(bridge ?? '');
    if (target === undefined || target.isMacSet) return;
    const macs = [...links.values()].filter((one) => one.master === bridge).map((one) => one.mac);
    target.mac = macs.toSorted()[0] ?? '00:00:00:00:00:00';
  };
  const removeLink = (netns: string, name: string): void => {
    const { links, routes } = namespace(netns);
    const gone = links.get(name);
    if (gone === undefined) return;
    links.delete(name);
    if (netns === '') onLink(name, false);
    for (const [key, route] of routes) if (route.link === name) routes.delete(key);
    for (const other of links.values()) if (other.master === name) other.master = undefined;
    recalculate(netns, gone.master);
    if (gone.peer !== undefined && namespaces.has(gone.peer.netns))
      removeLink(gone.peer.netns, gone.peer.name);
  };

  const rename = (netns: string, target: FakeLink, name: string): void => {
    const { links } = namespace(netns);
    const far = target.peer && namespaces.get(target.peer.netns)?.links.get(target.peer.name);
    if (far?.peer !== undefined) far.peer.name = name;
    links.delete(target.name);
    if (netns === '') onLink(target.name, false);
    target.name = name;
    links.set(name, target);
    if (netns === '') onLink(name, true);
  };

  // addrconf.c, addrconf_ifdown: an IPv4 address stays on a link that is down.
  const dropIpv6 = (netns: string, down: FakeLink): void => {
    down.addresses = down.addresses.filter((one) => !isIpv6(one));
    const { routes } = namespace(netns);
    for (const [key, route] of routes)
      if (route.link === down.name && isIpv6(route.gateway)) routes.delete(key);
  };

  /** Of links that have lost it with IPv6: the kernel gives it again when there is room, and IPv6 is on. */
  const linkLocals = new WeakMap<FakeLink, string>();
  const settleIpv6 = (netns: string, target: FakeLink): void => {
    const own = target.addresses.find(isLinkLocal);
    if (target.isIpv6Off || target.mtu < IPV6_MIN_MTU) {
      if (own !== undefined) linkLocals.set(target, own);
      dropIpv6(netns, target);
      return;
    }
    const lost = linkLocals.get(target);
    linkLocals.delete(target);
    if (own === undefined && lost !== undefined && target.up) target.addresses.push(lost);
  };

  const roomFor = (netns: string, name: string, address: string): FakeLink => {
    const target = link(netns, name);
    if (isIpv6(address) && target.mtu < IPV6_MIN_MTU)
      throw new IpError('RTNETLINK answers: Invalid argument');
    if (isIpv6(address) && target.isIpv6Off)
      throw new IpError('Error: ipv6: IPv6 is disabled on this device.');
    return target;
  };

  const commands: Readonly<Record<string, (netns: string, rest: readonly string[]) => string>> = {
    'addr show': (netns) => JSON.stringify([...namespace(netns).links.values()].map(showLink)),
    'link add': (netns, [name = '', ...rest]) => {
      const [own, peer] = splitAt(rest, 'peer');
      const options = pairs(own);
      if (options.get('type') === 'bridge') addLink(netns, name, { kind: 'bridge', ...shape(options) });
      else if (options.get('type') === 'veth') {
        const other = pairs(peer);
        const far = { netns: other.get('netns') ?? netns, name: other.get('name') ?? '' };
        // Both ends or none: the kernel makes the pair in one call.
        if (namespace(far.netns).links.has(far.name)) throw new IpError('RTNETLINK answers: File exists');
        addLink(netns, name, { kind: 'veth', peer: far, ...shape(options) });
        addLink(far.netns, far.name, { kind: 'veth', peer: { netns, name }, ...shape(other) });
      } else throw unknown(['link', 'add', name, ...rest]);
      return '';
    },
    'link set': (netns, rest) => {
      const [name = '', ...words] = rest[0] === 'dev' ? rest.slice(1) : rest;
      const target = link(netns, name);
      for (let index = 0; index < words.length; index += 1) {
        const word = words[index];
        // No bridge learns anything here.
        if (word === 'fdb_flush') continue;
        if (word === 'up' || word === 'down') {
          target.up = word === 'up';
          // devinet.c, inetdev_event.
          if (target.up && target.name === 'lo' && target.addresses.length === 0)
            target.addresses.push('127.0.0.1/8');
          if (!target.up) {
            dropIpv6(netns, target);
            target.lostRoutes = [];
          }
        } else if (word === 'nomaster') {
          const former = target.master;
          target.master = undefined;
          recalculate(netns, former);
        } else {
          index += 1;
          const value = words[index] ?? '';
          if (word === 'group') target.group = value;
          else if (word === 'alias') target.alias = value;
          else if (word === 'name') rename(netns, target, value);
          else if (word === 'mtu') {
            target.mtu = Number(value);
            settleIpv6(netns, target);
          } else if (word === 'address') Object.assign(target, { mac: value, isMacSet: true });
          else if (word === 'master') {
            target.master = link(netns, value).name;
            recalculate(netns, value);
          } else if (word === 'hairpin') target.hairpin = value === 'on';
          else if (word === 'state') target.isDisabled = value === '0';
          else if (word === 'type' && value === 'bridge_slave') continue;
          else throw unknown(['link', 'set', ...rest]);
        }
      }
      return '';
    },
    'link del': (netns, rest) => {
      const last = rest.at(-1) ?? '';
      const inGroup = [...namespace(netns).links.values()].filter(({ group }) => group === last);
      if (rest[0] === 'group' && inGroup.length === 0) throw new IpError('RTNETLINK answers: No such device');
      const name = rest[0] === 'group' ? (inGroup[0]?.name ?? '') : last;
      link(netns, name);
      removeLink(netns, name);
      return '';
    },
    'addr add': (netns, [address = '', , name = '']) => {
      if (roomFor(netns, name, address).addresses.includes(address))
        throw new IpError('RTNETLINK answers: File exists');
      return commands['addr replace']?.(netns, [address, 'dev', name]) ?? '';
    },
    'addr replace': (netns, [address = '', , name = '']) => {
      const target = roomFor(netns, name, address);
      if (target.addresses.includes(address)) return '';
      target.addresses.push(address);
      target.lostRoutes = target.lostRoutes.filter((one) => one !== networkOf(address));
      return '';
    },
    'addr del': (netns, [address = '', , name = '']) => {
      const target = link(netns, name);
      if (!target.addresses.includes(address))
        throw new IpError('RTNETLINK answers: Cannot assign requested address');
      const left = target.addresses.filter((one) => one !== address);
      // devinet.c, __inet_del_ifa: the first of a subnet takes the others along.
      const isPrimary = target.addresses.find((one) => subnetOf(one) === subnetOf(address)) === address;
      const isAlone = !isPrimary || isIpv6(address) || (netns === '' && promotes(name));
      target.addresses = isAlone ? left : left.filter((one) => subnetOf(one) !== subnetOf(address));
      return '';
    },
    'addr flush': (netns, [, name = '']) => {
      link(netns, name).addresses = [];
      return '';
    },
    ...createRouteCommands({ namespace, link }),
  };

  const self: FakeNetwork = {
    addNamespace(name) {
      namespaces.set(name, { links: new Map(), routes: new Map() });
      addLink(name, 'lo', { mac: '00:00:00:00:00:00', mtu: 65536 });
    },
    removeNamespace(name) {
      for (const one of namespaces.get(name)?.links.keys() ?? []) removeLink(name, one);
      namespaces.delete(name);
    },
    run(netns, [object = '', verb = '', ...rest]) {
      const command = commands[`${object} ${verb}`];
      if (command === undefined) throw unknown([object, verb, ...rest]);
      return command(netns, rest);
    },
    disableIpv6(netns, name, isOff) {
      const target = namespaces.get(netns)?.links.get(name);
      if (target === undefined) return;
      target.isIpv6Off = isOff;
      settleIpv6(netns, target);
    },
    hasLink: (name) => namespace('').links.has(name),
    isMacSet: (name) => namespace('').links.get(name)?.isMacSet,
    routes: (family) => showRoutes([...namespace('').links.values()], family),
    dump: () =>
      [...namespaces].flatMap(([name, { links, routes }]) => [
        ...[...links.values()].map((one) => `link ${name}/${one.name} ${dumpLink(one)}`),
        ...[...routes.values()].map((route) => `route ${name} ${JSON.stringify(route)}`),
      ]),
    keep() {
      const kept = structuredClone(namespaces);
      return () => {
        namespaces.clear();
        for (const [name, one] of structuredClone(kept)) namespaces.set(name, one);
      };
    },
  };
  self.addNamespace('');
  return self;
}

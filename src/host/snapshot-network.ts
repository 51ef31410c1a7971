// Snapshot: links, addresses, routes, rules, names of network namespaces, firewalls and sockets. Reads only.
import { NETNS_FOLDER } from '../names.ts';
import { commandError, runChecked } from './commands.ts';
import type { Host } from './host.ts';
import { readListening } from './listening.ts';
import type { SnapshotItem } from './snapshot.ts';

type Fields = Readonly<Record<string, unknown>>;

export async function listNetwork(
  host: Host,
): Promise<Readonly<Record<'link' | 'address' | 'route' | 'rule' | 'netns', readonly SnapshotItem[]>>> {
  const ask = async (...args: readonly string[]): Promise<readonly Fields[]> => {
    const result = await host.run(['ip', '-j', ...args]);
    // A kernel without IPv6 has no such addresses, routes and rules.
    if (/not supported/i.test(result.stderr)) return [];
    if (result.status !== 0) throw commandError('cannot read the network', result);
    return result.stdout.trim() === '' ? [] : (JSON.parse(result.stdout) as readonly Fields[]);
  };
  const [links, routes4, routes6, rules4, rules6, names] = await Promise.all([
    ask('-d', 'addr', 'show'),
    ask('-4', 'route', 'show', 'table', 'all'),
    ask('-6', 'route', 'show', 'table', 'all'),
    ask('-4', 'rule', 'show'),
    ask('-6', 'rule', 'show'),
    host.list(NETNS_FOLDER),
  ]);
  return {
    link: links.flatMap(showLink),
    address: links.flatMap((link) =>
      ((link['addr_info'] as readonly Fields[] | undefined) ?? []).map((address) =>
        item(`${text(link['ifname'])} ${text(address['local'])}/${text(address['prefixlen'])}`),
      ),
    ),
    route: [...routes4, ...routes6].map((route) => item(show(route, ROUTE))),
    rule: [...rules4.map((rule) => `ip ${show(rule)}`), ...rules6.map((rule) => `ip6 ${show(rule)}`)].map(
      item,
    ),
    netns: (names ?? []).map(item),
  };
}

/** Fields that tell routes apart; flags and what the kernel learns come and go. */
const ROUTE = ['type', 'dst', 'gateway', 'dev', 'table', 'protocol', 'scope', 'prefsrc', 'metric'];

function showLink(link: Fields): readonly SnapshotItem[] {
  if (typeof link['ifname'] !== 'string') return [];
  const kind = (link['linkinfo'] as Fields | undefined)?.['info_kind'] ?? 'device';
  const flags = (link['flags'] as readonly string[] | undefined) ?? [];
  const state = flags.includes('UP') ? 'up' : 'down';
  const rest = show(link, ['mtu', 'address', 'master', 'ifalias']);
  return [item(`${link['ifname']} ${text(kind)} ${state} ${rest}`)];
}

/**
 * Both firewalls of the kernel: the ruleset of nft, and the older tables that nft does not show. Counters are left out.
 */
export async function listFirewall(
  host: Host,
): Promise<Readonly<Record<'nft' | 'legacy', readonly SnapshotItem[]>>> {
  return {
    nft: await listRuleset(host),
    legacy: (await Promise.all(LEGACY.map(([program, names]) => listLegacy(host, program, names)))).flat(),
  };
}

async function listRuleset(host: Host): Promise<readonly SnapshotItem[]> {
  if ((await host.which('nft')) === undefined) return [];
  const { stdout } = await runChecked(host, ['nft', '-s', 'list', 'ruleset']);
  const around: string[] = [];
  return stdout.split('\n').flatMap((line) => {
    const words = line.trim();
    if (words === '}') around.pop();
    else if (words.endsWith('{')) around.push(words.slice(0, -1).trim());
    return words === '' || words === '}'
      ? []
      : [item([...around, ...(words.endsWith('{') ? [] : [words])].join(' / '))];
  });
}

/** Programs for the older tables, and the kernel's list of those that exist: asking for another would make it. */
const LEGACY = [
  ['iptables-legacy-save', '/proc/net/ip_tables_names'],
  ['ip6tables-legacy-save', '/proc/net/ip6_tables_names'],
] as const;

async function listLegacy(host: Host, program: string, names: string): Promise<readonly SnapshotItem[]> {
  const tables = ((await host.readText(names)) ?? '').split('\n').filter((name) => name !== '');
  if (tables.length === 0 || (await host.which(program)) === undefined) return [];
  const saved = await Promise.all(tables.map((table) => runChecked(host, [program, '-t', table])));
  return saved.flatMap(({ stdout }, index) =>
    stdout
      .split('\n')
      .filter((line) => /^[:-]/.test(line))
      .map((line) => item(`${program.split('-')[0]} ${tables[index]} ${line.replace(/ ?\[\d+:\d+\]/, '')}`)),
  );
}

export async function listSockets(host: Host): Promise<readonly SnapshotItem[]> {
  return (await readListening(host)).map(({ protocol, address, port }) =>
    item(`${protocol} ${address} port ${port}`),
  );
}

function show(fields: Fields, keys: readonly string[] = Object.keys(fields)): string {
  return keys.flatMap((key) => (fields[key] === undefined ? [] : [`${key} ${text(fields[key])}`])).join(' ');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const item = (key: string): SnapshotItem => ({ key });

// Rules of others that send packets elsewhere before ours see them: nat chains at the same or an earlier
// priority, of nft and of both kinds of iptables. Reads only. What a rule asks beyond protocol and port (an
// interface, an address) is not weighed: it may catch, and whoever looks should know of it.
import { runChecked } from './commands.ts';
import type { Host } from './host.ts';
import { NFT_TABLE } from './nft-table.ts';
import { readTexts } from './nft-chains.ts';

export interface NatRule {
  /** Where it stands and what it says, for people. */
  readonly text: string;
  catches(published: Published): boolean;
}

/** A port of this host that something answers for. */
export interface Published {
  readonly family: 'ipv4' | 'ipv6';
  readonly protocol: string;
  readonly port: number;
}

/** Where runspec's own chains stand: plan/firewall.ts. */
const PRIORITY = -100;

type Fields = Readonly<Record<string, unknown>>;

/** @throws OperationError when a firewall cannot be read. */
export async function readEarlierNat(host: Host): Promise<readonly NatRule[]> {
  const legacy = LEGACY.map((one) => readLegacy(host, one));
  return [...(await readNft(host)), ...(await Promise.all(legacy)).flat()];
}

async function readNft(host: Host): Promise<readonly NatRule[]> {
  const [json, listing] = await Promise.all([
    runChecked(host, ['nft', '-j', 'list', 'ruleset']),
    runChecked(host, ['nft', '-s', '-a', 'list', 'ruleset']),
  ]);
  const objects = (JSON.parse(json.stdout) as { readonly nftables: readonly Fields[] }).nftables;
  const texts = readTexts(listing.stdout);
  const chains = objects.flatMap((one) => (one['chain'] === undefined ? [] : [one['chain'] as Fields]));
  const rules = objects.flatMap((one) => (one['rule'] === undefined ? [] : [one['rule'] as Fields]));
  const nameOf = (one: Fields, chain: unknown): string =>
    `${String(one['family'])} ${String(one['table'])} ${String(chain)}`;
  const reached = new Set(
    chains
      .filter(
        (chain) =>
          chain['type'] === 'nat' &&
          (chain['hook'] === 'prerouting' || chain['hook'] === 'output') &&
          Number(chain['prio']) <= PRIORITY &&
          !(chain['family'] === 'inet' && chain['table'] === NFT_TABLE),
      )
      .map((chain) => nameOf(chain, chain['name'])),
  );
  // A set is walked in the order of insertion: chains that are jumped to are appended and walked in turn.
  for (const chain of reached)
    for (const rule of rules)
      if (nameOf(rule, rule['chain']) === chain)
        for (const target of jumpsOf(rule)) reached.add(nameOf(rule, target));
  return rules
    .filter((rule) => reached.has(nameOf(rule, rule['chain'])) && statements(rule).some(redirects))
    .map((rule) => {
      const chain = nameOf(rule, rule['chain']);
      const said = texts.get(`${chain} ${String(rule['handle'])}`) ?? `rule ${String(rule['handle'])}`;
      return { text: `nft chain ${chain}: ${said}`, catches: (asked) => mayCatch(rule, asked) };
    });
}

function statements(rule: Fields): readonly Fields[] {
  return (rule['expr'] as readonly Fields[] | undefined) ?? [];
}

function redirects(statement: Fields): boolean {
  if ('dnat' in statement || 'redirect' in statement || 'tproxy' in statement) return true;
  // iptables-nft: nft knows but the name of the target.
  const foreign = statement['xt'] as Fields | null | undefined;
  return foreign?.['type'] === 'target' && /^(DNAT|REDIRECT|NETMAP)$/.test(String(foreign['name']));
}

function jumpsOf(rule: Fields): readonly unknown[] {
  return statements(rule).flatMap((statement) => {
    const verdict = (statement['jump'] ?? statement['goto']) as Fields | undefined;
    return verdict === undefined ? [] : [verdict['target']];
  });
}

/** What tells one family from the other; a rule of a table `inet` may have no such word. */
const FAMILY_WORDS: ReadonlyMap<unknown, Published['family']> = new Map([
  ['ip', 'ipv4'],
  ['ip6', 'ipv6'],
  ['ipv4', 'ipv4'],
  ['ipv6', 'ipv6'],
]);

function isOfFamily(statement: Fields, family: Published['family']): boolean {
  const isMeant = (name: unknown): boolean => (FAMILY_WORDS.get(name) ?? family) === family;
  const match = statement['match'] as { op: string; left: Fields; right: unknown } | undefined;
  const payload = match?.left['payload'] as Fields | undefined;
  const dnat = statement['dnat'] as Fields | null | undefined;
  if (!isMeant(payload?.['protocol']) || !isMeant(dnat?.['family'])) return false;
  const key = (match?.left['meta'] as Fields | undefined)?.['key'];
  if (match === undefined || (key !== 'nfproto' && key !== 'protocol')) return true;
  return !FAMILY_WORDS.has(match.right) || isMeant(match.right) === (match.op !== '!=');
}

function mayCatch(rule: Fields, { family, protocol, port }: Published): boolean {
  if ((FAMILY_WORDS.get(rule['family']) ?? family) !== family) return false;
  if (!statements(rule).every((statement) => isOfFamily(statement, family))) return false;
  return statements(rule).every((statement) => {
    const match = statement['match'] as { op: string; left: Fields; right: unknown } | undefined;
    const mapped = findPortMap(statement);
    if (mapped !== undefined) return mapped.some((one) => isIn(port, one));
    if (match === undefined || (match.op !== '==' && match.op !== 'in')) return true;
    const payload = match.left['payload'] as Fields | undefined;
    const meta = match.left['meta'] as Fields | undefined;
    if (payload?.['field'] === 'dport') {
      const isProtocol = payload['protocol'] === protocol || payload['protocol'] === 'th';
      return isProtocol && isIn(port, match.right);
    }
    if (payload?.['field'] === 'protocol' || meta?.['key'] === 'l4proto')
      return JSON.stringify(match.right).includes(`"${protocol}"`);
    return true;
  });
}

/** Keys of `dnat to tcp dport map { 8080 : … }`. */
function findPortMap(statement: Fields): readonly unknown[] | undefined {
  const found = /\{"map":\{"key":\{"payload":\{[^}]*"field":"dport"\}\},"data":\{"set":(\[.*\])\}\}\}/.exec(
    JSON.stringify(statement),
  );
  return found === null
    ? undefined
    : (JSON.parse(found[1] ?? '[]') as readonly [unknown, unknown][]).map(([key]) => key);
}

/** A number, a range, or a set of both. What is none of them (a named set) may hold it. */
function isIn(port: number, value: unknown): boolean {
  if (typeof value === 'number') return value === port;
  if (typeof value !== 'object' || value === null) return true;
  const { range, set } = value as {
    readonly range?: readonly [number, number];
    readonly set?: readonly unknown[];
  };
  if (range !== undefined) return port >= range[0] && port <= range[1];
  return set === undefined || set.some((one) => isIn(port, one));
}

const LEGACY = [
  { family: 'ipv4', tool: 'iptables-legacy', names: '/proc/net/ip_tables_names' },
  { family: 'ipv6', tool: 'ip6tables-legacy', names: '/proc/net/ip6_tables_names' },
] as const;

async function readLegacy(
  host: Host,
  { family, tool, names }: (typeof LEGACY)[number],
): Promise<readonly NatRule[]> {
  // Asking for a table that is not there would make it.
  const tables = ((await host.readText(names)) ?? '').split('\n');
  if (!tables.includes('nat') || (await host.which(`${tool}-save`)) === undefined) return [];
  const { stdout } = await runChecked(host, [`${tool}-save`, '-t', 'nat']);
  const lines = stdout.split('\n').filter((line) => line.startsWith('-A '));
  const reached = new Set(['PREROUTING', 'OUTPUT']);
  const isOf = (line: string, chain: string): boolean => line.startsWith(`-A ${chain} `);
  for (const chain of reached)
    for (const line of lines) {
      const target = / -[jg] (\S+)/.exec(line)?.[1];
      if (isOf(line, chain) && target !== undefined) reached.add(target);
    }
  return lines
    .filter(
      (line) => / -j (DNAT|REDIRECT|NETMAP)\b/.test(line) && [...reached].some((chain) => isOf(line, chain)),
    )
    .map((line) => ({
      text: `${tool} nat: ${line}`,
      catches: (asked) => asked.family === family && mayCatchLegacy(line, asked),
    }));
}

function mayCatchLegacy(line: string, { protocol, port }: Published): boolean {
  const wanted = / -p (\S+)/.exec(line)?.[1];
  if (wanted !== undefined && wanted !== protocol && wanted !== 'all') return false;
  const ports = /(?<!! )--dports? (\S+)/.exec(line)?.[1];
  if (ports === undefined) return true;
  return ports.split(',').some((part) => {
    const [first = '', last = first] = part.split(':');
    return port >= Number(first) && port <= Number(last);
  });
}

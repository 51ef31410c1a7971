// Foreign NAT rules that send packets elsewhere before ours see them: nat chains at the same or an earlier priority, of
// nft and of both kinds of iptables. Reads only. Matches beyond protocol and port (an interface, an address) are not
// weighed: such a rule may catch, and people should know of it.
import { NFT_TABLE } from '../names.ts';
import { runChecked } from './commands.ts';
import type { Host } from './host.ts';
import { asList, isRecord, record, text, type Fields } from './json-fields.ts';
import { findDormant, readTexts } from './nft-chains.ts';
import { listRuleset } from './nft-json.ts';

export interface NatRule {
  /** Chain and text of the rule, for people. */
  readonly text: string;
  catches(published: Published): boolean;
}

/** A port of this host that something answers for. */
export interface Published {
  readonly family: 'ipv4' | 'ipv6';
  readonly protocol: string;
  readonly port: number;
}

/** Priority of runspec's own nat chains: plan/firewall.ts. */
const PRIORITY = -100;

/** @throws OperationError when a firewall cannot be read. */
export async function readEarlierNat(host: Host): Promise<readonly NatRule[]> {
  const legacy = LEGACY.map((one) => readLegacy(host, one));
  return [...(await readNft(host)), ...(await Promise.all(legacy)).flat()];
}

async function readNft(host: Host): Promise<readonly NatRule[]> {
  const objects = await listRuleset(host);
  const chains = objects.map((one) => record(one['chain']));
  const rules = objects.flatMap((one) => ('rule' in one ? [record(one['rule'])] : []));
  const reached = new Set(chains.filter(isEarlier).map((chain) => nameOf(chain, chain['name'])));
  // A set is walked in the order of insertion: chains that are jumped to are appended and walked in turn.
  for (const chain of reached)
    for (const rule of rules)
      if (nameOf(rule, rule['chain']) === chain)
        for (const target of jumpsOf(rule)) reached.add(nameOf(rule, target));
  const found = rules.filter(
    (rule) => reached.has(nameOf(rule, rule['chain'])) && statements(rule).some(redirects),
  );
  // On most hosts there are none, and nft need not start once more.
  if (found.length === 0) return [];
  const { stdout } = await runChecked(host, ['nft', '-s', '-a', '-t', 'list', 'ruleset']);
  const texts = readTexts(stdout);
  const dormant = findDormant(stdout);
  return found.flatMap((rule) => {
    if (dormant.has(tableOf(rule))) return [];
    const chain = nameOf(rule, rule['chain']);
    const handle = String(rule['handle']);
    const said = texts.get(`${chain} ${handle}`) ?? `rule ${handle}`;
    return [{ text: `nft chain ${chain}: ${said}`, catches: (asked: Published) => mayCatch(rule, asked) }];
  });
}

function tableOf({ family, table }: Fields): string {
  return `${text(family) ?? ''} ${text(table) ?? ''}`;
}

function nameOf(one: Fields, chain: unknown): string {
  return `${tableOf(one)} ${text(chain) ?? ''}`;
}

function isEarlier({ family, table, type, hook, prio }: Fields): boolean {
  const isOurs = family === 'inet' && table === NFT_TABLE;
  const isOnTheWay = type === 'nat' && (hook === 'prerouting' || hook === 'output');
  return isOnTheWay && Number(prio) <= PRIORITY && !isOurs;
}

function statements(rule: Fields): readonly Fields[] {
  return asList(rule['expr']);
}

function redirects(statement: Fields): boolean {
  if ('dnat' in statement || 'redirect' in statement || 'tproxy' in statement) return true;
  // nft shows only the name of the target in rules of iptables-nft.
  const { type, name } = record(statement['xt']);
  return type === 'target' && /^(DNAT|REDIRECT|NETMAP)$/.test(text(name) ?? '');
}

function jumpsOf(rule: Fields): readonly unknown[] {
  return statements(rule).flatMap((statement) => {
    const verdict = statement['jump'] ?? statement['goto'];
    return verdict === undefined ? [] : [record(verdict)['target']];
  });
}

/** Words that name an address family; a rule of a table `inet` may have none. */
const FAMILY_WORDS: ReadonlyMap<unknown, Published['family']> = new Map([
  ['ip', 'ipv4'],
  ['ip6', 'ipv6'],
  ['ipv4', 'ipv4'],
  ['ipv6', 'ipv6'],
]);

function isOfFamily(statement: Fields, family: Published['family']): boolean {
  const isMeant = (name: unknown): boolean => (FAMILY_WORDS.get(name) ?? family) === family;
  const { op, left, right } = record(statement['match']);
  const { payload, meta } = record(left);
  if (!isMeant(record(payload)['protocol']) || !isMeant(record(statement['dnat'])['family'])) return false;
  const { key } = record(meta);
  if (key !== 'nfproto' && key !== 'protocol') return true;
  return !FAMILY_WORDS.has(right) || isMeant(right) === (op !== '!=');
}

function mayCatch(rule: Fields, { family, protocol, port }: Published): boolean {
  if ((FAMILY_WORDS.get(rule['family']) ?? family) !== family) return false;
  if (!statements(rule).every((statement) => isOfFamily(statement, family))) return false;
  return statements(rule).every((statement) => {
    const mapped = findPortMap(statement);
    if (mapped !== undefined) return mapped.some((one) => isIn(port, one));
    const { op, left, right } = record(statement['match']);
    if (op !== '==' && op !== 'in') return true;
    const payload = record(record(left)['payload']);
    if (payload['field'] === 'dport') {
      const isProtocol = payload['protocol'] === protocol || payload['protocol'] === 'th';
      return isProtocol && isIn(port, right);
    }
    if (payload['field'] === 'protocol' || record(record(left)['meta'])['key'] === 'l4proto')
      return JSON.stringify(right ?? '').includes(`"${protocol}"`);
    return true;
  });
}

/** Keys of `dnat to tcp dport map { 8080 : … }`, wherever in a statement it stands. */
function findPortMap(value: unknown): readonly unknown[] | undefined {
  if (!isRecord(value)) return undefined;
  const { key, data } = record(value['map']);
  const pairs = record(data)['set'];
  if (Array.isArray(pairs) && record(record(key)['payload'])['field'] === 'dport')
    return pairs.map((pair: unknown) => (Array.isArray(pair) ? (pair[0] as unknown) : pair));
  for (const part of Object.values(value)) {
    const found = findPortMap(part);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether a port is in a number, a range or a set of both; a named set may hold it. */
function isIn(port: number, value: unknown): boolean {
  if (typeof value === 'number') return value === port;
  const { range, set } = record(value);
  if (Array.isArray(range)) return port >= Number(range[0]) && port <= Number(range[1]);
  return !Array.isArray(set) || set.some((one) => isIn(port, one));
}

const LEGACY = [
  { family: 'ipv4', tool: 'iptables-legacy', names: '/proc/net/ip_tables_names' },
  { family: 'ipv6', tool: 'ip6tables-legacy', names: '/proc/net/ip6_tables_names' },
] as const;

async function readLegacy(
  host: Host,
  { family, tool, names }: (typeof LEGACY)[number],
): Promise<readonly NatRule[]> {
  // Asking iptables-legacy for a table that does not exist would make it.
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

// Filter chains as `nft -j list ruleset` prints them; the text of each rule is taken from the plain listing. Pure.
import type { Field, ForeignChain, ForeignRule, Hook, Match } from '../plan/foreign-chains.ts';
import { asList, isRecord, record, text, type Fields } from './json-fields.ts';

const HOOKS: ReadonlySet<string> = new Set<Hook>(['prerouting', 'input', 'forward', 'output']);

/** @param isWanted tables that are looked at, by family and name. */
export function parseNft(
  objects: readonly Fields[],
  listing: string,
  isWanted: (family: string, table: string) => boolean,
): readonly ForeignChain[] {
  const texts = readTexts(listing);
  const dormant = findDormant(listing);
  const chains = new Map<string, ForeignChain & { readonly rules: ForeignRule[] }>();
  for (const object of objects) {
    const chain = record(object['chain']);
    const family = chain['family'];
    if (family !== 'ip' && family !== 'ip6' && family !== 'inet') continue;
    const [table, name, hook] = [text(chain['table']) ?? '', text(chain['name']) ?? '', text(chain['hook'])];
    if (!isWanted(family, table) || dormant.has(`${family} ${table}`)) continue;
    const isFilter = chain['type'] === 'filter' && hook !== undefined && HOOKS.has(hook);
    const policy = chain['policy'] === 'drop' ? 'drop' : 'accept';
    const base = { hook: hook as Hook, priority: Number(chain['prio']), policy } as const;
    chains.set(`${family} ${table} ${name}`, {
      tool: 'nft',
      family,
      table,
      name,
      rules: [],
      ...(isFilter ? { base } : {}),
    });
  }
  for (const object of objects) {
    const rule = record(object['rule']);
    const place = `${text(rule['family']) ?? ''} ${text(rule['table']) ?? ''} ${text(rule['chain']) ?? ''}`;
    const handle = String(rule['handle']);
    chains.get(place)?.rules.push(...parseRule(rule, texts.get(`${place} ${handle}`) ?? `rule ${handle}`));
  }
  return [...chains.values()];
}

/** Text of each rule by family, table, chain and handle. */
export function readTexts(listing: string): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  let [table, chain] = ['', ''];
  for (const line of listing.split('\n')) {
    const opened = /^(table|\tchain) (.*) \{/.exec(line);
    if (opened?.[1] === 'table') table = opened[2] ?? '';
    else if (opened !== null) chain = opened[2] ?? '';
    const rule = /^\t\t(.*) # handle (\d+)$/.exec(line);
    if (rule !== null) texts.set(`${table} ${chain} ${rule[2]}`, rule[1] ?? '');
  }
  return texts;
}

/** Tables that are switched off, by family and name: the kernel calls none of their chains. The flags in nft's JSON tell too little. */
export function findDormant(listing: string): ReadonlySet<string> {
  const dormant = new Set<string>();
  let table = '';
  for (const line of listing.split('\n')) {
    table = /^table (.*) \{/.exec(line)?.[1] ?? table;
    if (/^\tflags .*\bdormant\b/.test(line)) dormant.add(table);
  }
  return dormant;
}

/** A verdict map is a rule for each of its keys. */
function parseRule(rule: Fields, shown: string): readonly ForeignRule[] {
  const matches: Match[] = [];
  for (const statement of asList(rule['expr'])) {
    const verdict = verdictOf(statement);
    if (verdict !== undefined) return [{ text: shown, matches, verdict }];
    const map = record(statement['vmap']);
    if ('vmap' in statement)
      return elementsOf(map['data']).flatMap(([key, value]) => {
        const mapped = verdictOf(record(value));
        if (mapped === undefined) return [];
        return [{ text: shown, matches: [...matches, ...matchesOf('==', map['key'], key)], verdict: mapped }];
      });
    const match = record(statement['match']);
    if ('match' in statement)
      matches.push(...matchesOf(text(match['op']) ?? '', match['left'], match['right']));
    else if ('limit' in statement || 'ct count' in statement) matches.push({ field: 'sender', values: [] });
    else if (record(statement['xt'])['type'] === 'match') matches.push({ field: 'unknown', values: [] });
    else if (record(statement['xt'])['type'] === 'target') return foreignTarget(statement, matches, shown);
  }
  return [];
}

function foreignTarget(statement: Fields, matches: readonly Match[], shown: string): readonly ForeignRule[] {
  const isReject = record(statement['xt'])['name'] === 'REJECT';
  return isReject ? [{ text: shown, matches, verdict: { kind: 'drop' } }] : [];
}

/** Pairs of a map that is written in the rule; none of a named map, as the listing lacks its elements. */
function elementsOf(data: unknown): readonly (readonly [unknown, unknown])[] {
  const set = record(data)['set'];
  return Array.isArray(set)
    ? set.flatMap((one: unknown) => (Array.isArray(one) ? [[one[0], one[1]] as const] : []))
    : [];
}

function verdictOf(statement: Fields): ForeignRule['verdict'] | undefined {
  if ('accept' in statement) return { kind: 'accept' };
  if ('drop' in statement || 'reject' in statement) return { kind: 'drop' };
  if ('return' in statement) return { kind: 'return' };
  for (const kind of ['jump', 'goto'] as const)
    if (kind in statement) return { kind, chain: text(record(statement[kind])['target']) ?? '' };
  return undefined;
}

function matchesOf(op: string, left: unknown, right: unknown): readonly Match[] {
  const subject = record(left);
  const [field, implied] = fieldOf(subject);
  const values = valuesOf(field, right);
  const isKnown = values !== undefined && (op === '==' || op === 'in' || op === '!=');
  const found: Match = isKnown
    ? { field, values, ...(op === '!=' ? { negated: true as const } : {}) }
    : { field: field === 'saddr' || field === 'sender' ? 'sender' : 'unknown', values: [] };
  return [...implied, found];
}

/** Field that a match looks at, and the further matches it implies, as a TCP port implies the protocol. */
function fieldOf(subject: Fields): readonly [Field, readonly Match[]] {
  const payload = record(subject['payload']);
  if ('payload' in subject)
    return payloadField(text(payload['protocol']) ?? '', text(payload['field']) ?? '');
  const meta = record(subject['meta'])['key'];
  if (meta === 'iifname' || meta === 'iif') return ['iifname', []];
  if (meta === 'oifname' || meta === 'oif') return ['oifname', []];
  if (meta === 'l4proto') return ['protocol', []];
  if (meta === 'nfproto' || meta === 'protocol') return ['family', []];
  if (meta === 'pkttype' || meta === 'length' || meta === 'hour' || meta === 'day') return ['sender', []];
  const ct = record(subject['ct']);
  if ((ct['key'] === 'state' || ct['key'] === 'status') && ct['dir'] === undefined) return ['ct', []];
  const { result, flags } = record(subject['fib']) as { result?: unknown; flags?: unknown };
  const asked: readonly unknown[] = Array.isArray(flags) ? flags : [flags];
  if (result === 'type') return [asked.includes('daddr') ? 'daddr-type' : 'sender', []];
  if (result === 'oif' && asked.includes('saddr')) return ['reverse-path', []];
  return ['unknown', []];
}

const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp', 'dccp', 'udplite', 'icmp', 'th']);

function payloadField(protocol: string, field: string): readonly [Field, readonly Match[]] {
  if (protocol === 'ip' || protocol === 'ip6') {
    const family: Match = { field: 'family', values: [protocol === 'ip' ? 'ipv4' : 'ipv6'] };
    if (field === 'saddr' || field === 'daddr') return [field, [family]];
    return [field === 'protocol' || field === 'nexthdr' ? 'protocol' : 'sender', [family]];
  }
  if (protocol === 'ether') return ['sender', []];
  const name = protocol === 'icmpv6' ? 'ipv6-icmp' : protocol;
  if (!PROTOCOLS.has(protocol) && protocol !== 'icmpv6') return ['unknown', []];
  const implied: readonly Match[] = name === 'th' ? [] : [{ field: 'protocol', values: [name] }];
  return [field === 'dport' ? 'dport' : 'sender', implied];
}

/** @returns undefined when the values are not known, as for a named set. */
function valuesOf(field: Field, right: unknown): readonly string[] | undefined {
  if (field === 'reverse-path')
    return right === false || right === 0 || right === 'missing' ? ['missing'] : undefined;
  if (Array.isArray(right)) return combine(right.map((one) => valuesOf(field, one)));
  if (typeof right === 'number') return [String(right)];
  if (typeof right === 'string') return right.startsWith('@') ? undefined : [nameOf(field, right)];
  if (!isRecord(right)) return undefined;
  if (Array.isArray(right['set'])) return combine(right['set'].map((one) => valuesOf(field, one)));
  if (isRecord(right['elem'])) return valuesOf(field, right['elem']['val']);
  if (Array.isArray(right['range'])) return [right['range'].map(String).join('-')];
  const prefix = record(right['prefix']);
  return 'prefix' in right ? [`${text(prefix['addr']) ?? ''}/${String(prefix['len'])}`] : undefined;
}

function combine(lists: readonly (readonly string[] | undefined)[]): readonly string[] | undefined {
  return lists.some((list) => list === undefined) ? undefined : lists.flatMap((list) => list ?? []);
}

/** Names of families are those of EtherTypes in `meta protocol`. */
function nameOf(field: Field, value: string): string {
  if (field === 'family') return value === 'ip' ? 'ipv4' : value === 'ip6' ? 'ipv6' : value;
  return value;
}

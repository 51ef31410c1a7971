// Filter chains as iptables-save and ip6tables-save print them. Pure.
import type { Field, FirewallTool, ForeignChain, ForeignRule, Hook, Match } from '../plan/foreign-chains.ts';

/** Priorities of the tables at their hooks: linux/netfilter_ipv4.h. */
const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, mangle: -150, filter: 0, security: 50 };

const HOOKS: Readonly<Record<string, Hook>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
};

export function parseIptables(saved: string, tool: Exclude<FirewallTool, 'nft'>): readonly ForeignChain[] {
  const family = tool.startsWith('ip6') ? 'ip6' : 'ip';
  const chains: ForeignChain[] = [];
  let table = '';
  let rules = new Map<string, ForeignRule[]>();
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) {
      table = line.slice(1).trim();
      rules = new Map();
    }
    const priority = PRIORITIES[table];
    // The table nat is skipped: nobody expects it to drop packets.
    if (priority === undefined) continue;
    const declared = /^:(\S+) (\S+)/.exec(line);
    if (declared !== null) {
      const [, name = '', policy] = declared;
      const hook = policy === '-' ? undefined : HOOKS[name];
      const own: ForeignRule[] = [];
      rules.set(name, own);
      chains.push({
        tool,
        family,
        table,
        name,
        ...(hook === undefined
          ? {}
          : { base: { hook, priority, policy: policy === 'DROP' ? 'drop' : 'accept' } }),
        rules: own,
      });
    }
    const rule = /^(?:\[\d+:\d+\] )?(-A (\S+) .*)$/.exec(line);
    const parsed = rule === null ? undefined : parseRule(rule[1] ?? '', rules);
    if (parsed !== undefined) rules.get(rule?.[2] ?? '')?.push(parsed);
  }
  return chains;
}

function parseRule(text: string, chains: ReadonlyMap<string, unknown>): ForeignRule | undefined {
  const words = (text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? []).slice(2);
  const matches: Match[] = [];
  let isNegated = false;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '!') {
      isNegated = true;
      continue;
    }
    if (word === '-j' || word === '-g') {
      const verdict = verdictOf(word, words[index + 1] ?? '', chains);
      // Words behind the target are about the target.
      return verdict === undefined ? undefined : { text, matches, verdict };
    }
    // Values of an option reach to the next option.
    const end = words.findIndex((one, at) => at > index && (one === '!' || /^--?[a-z]/i.test(one)));
    const values = words.slice(index + 1, end === -1 ? words.length : end);
    matches.push(...matchesOf(word, values, isNegated, words));
    index += values.length;
    isNegated = false;
  }
  return undefined;
}

function verdictOf(
  option: string,
  target: string,
  chains: ReadonlyMap<string, unknown>,
): ForeignRule['verdict'] | undefined {
  if (chains.has(target)) return { kind: option === '-g' ? 'goto' : 'jump', chain: target };
  if (target === 'ACCEPT') return { kind: 'accept' };
  if (target === 'DROP' || target === 'REJECT') return { kind: 'drop' };
  if (target === 'RETURN') return { kind: 'return' };
  return undefined;
}

/** Options about the sender, the rate or other parts of the header: the field `sender`. */
const ABOUT_SENDER =
  /^(?:-f|--(?:sports?|source-ports?|limit.*|hashlimit.*|connlimit.*|mac-source|src-(?:type|range|cc)|tcp-flags|tcp-option|syn|icmp-type|icmpv6-type|rt-.*|hl-.*|ttl-.*|length|pkt-type|rcheck|update|set|remove|seconds|hitcount|name|rsource|mask|reap|u32|string|algo|hex-string|time.*|weekdays|probability|mode|every|packet))$/;

/** Options that go with others, or that change nothing about which packets match. */
const SILENT = /^(?:-m|--(?:comment|validmark|accept-local|loose|invert|limit-burst))$/;

function matchesOf(
  option: string,
  values: readonly string[],
  isNegated: boolean,
  words: readonly string[],
): readonly Match[] {
  const negated = isNegated ? { negated: true as const } : {};
  const one = (field: Field, list: readonly string[]): readonly Match[] => [
    { field, values: list, ...negated },
  ];
  const listed = (values[0] ?? '').split(',');
  switch (option) {
    case '-i':
      return one('iifname', [asPattern(listed[0])]);
    case '-o':
      return one('oifname', [asPattern(listed[0])]);
    case '-s':
      return one('saddr', listed);
    case '-d':
      return one('daddr', listed);
    case '--dst-range':
      return one('daddr', listed);
    case '-p':
      return values[0] === 'all' ? [] : one('protocol', listed);
    case '--dport':
    case '--dports':
      return one(
        'dport',
        listed.map((range) => range.replace(':', '-')),
      );
    case '--ctstate':
    case '--state':
      return one(
        'ct',
        listed.map((state) => state.toLowerCase()),
      );
    case '--dst-type':
      return one(
        'daddr-type',
        listed.map((type) => type.toLowerCase()),
      );
    case '--physdev-is-bridged':
      return one('bridged', ['yes']);
    case '--match-set':
      return one(values[1] === 'src' ? 'sender' : 'unknown', []);
    case '-m':
      return values[0] === 'rpfilter' ? [reversePath(words)] : [];
  }
  if (SILENT.test(option)) return [];
  return one(ABOUT_SENDER.test(option) ? 'sender' : 'unknown', []);
}

/** rpfilter matches packets whose way back is the way they came; `--loose` takes any way. */
function reversePath(words: readonly string[]): Match {
  const values = ['there', ...(words.includes('--loose') ? ['elsewhere'] : [])];
  return { field: 'reverse-path', values, ...(words.includes('--invert') ? { negated: true as const } : {}) };
}

function asPattern(name = ''): string {
  return name.endsWith('+') ? `${name.slice(0, -1)}*` : name;
}

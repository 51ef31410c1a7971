// Decides what a foreign base chain does to a packet that is described only in part: a match on an unknown field makes
// a drop uncertain. Pure.
import { contains6, parseBlock6, parseIpv6 } from '../load/ipv6.ts';
import type { Field, ForeignChain, ForeignRule, Match, Packet } from './foreign-chains.ts';
import { contains, parseAddress, parseBlock } from './ipv4.ts';

export interface Drop {
  readonly base: ForeignChain;
  /** Chain with the rule: the base chain, or one that it leads to. */
  readonly chain: ForeignChain;
  /** Text of the rule, or of the policy. */
  readonly rule: string;
  /** False when an earlier rule may accept the packet, or the rule is for some packets only. */
  readonly certain: boolean;
}

interface Walk {
  readonly chains: readonly ForeignChain[];
  readonly packet: Packet;
  readonly drops: Caught[];
  mayPass: boolean;
}

interface Caught {
  readonly chain: ForeignChain;
  readonly rule: string;
  /** Fields that could not be decided on the way to this rule. */
  readonly undecided: readonly Field[];
}

/**
 * @param chains all chains that the base chain may lead to.
 * @returns undefined when the packet passes, or when the drop depends on the sender, as an admin meant it to.
 */
export function findDrop(
  base: ForeignChain,
  chains: readonly ForeignChain[],
  packet: Packet,
): Drop | undefined {
  const walk: Walk = { chains, packet, drops: [], mayPass: false };
  if (walkChain(walk, base, [], []) !== 'never') {
    if (base.base?.policy === 'drop') walk.drops.push({ chain: base, rule: 'policy drop', undecided: [] });
    else walk.mayPass = true;
  }
  // The last drop is the one that catches all packets that no earlier rule caught.
  const found = walk.mayPass
    ? walk.drops.findLast(({ undecided }) => !undecided.some(isAboutSender))
    : walk.drops.at(-1);
  if (found === undefined) return undefined;
  return { base, chain: found.chain, rule: found.rule, certain: !walk.mayPass };
}

/** Whether packets that enter a chain come out at its end, or by a return. */
type End = 'always' | 'maybe' | 'never';

function walkChain(
  walk: Walk,
  chain: ForeignChain,
  way: readonly ForeignChain[],
  before: readonly Field[],
): End {
  // The kernel allows no loops; a listing of rules that were just being changed may have one.
  if (way.includes(chain)) return 'maybe';
  let mayBeGone = false;
  let mayHaveReturned = false;
  const comesOut = (): End => (mayBeGone ? 'maybe' : 'always');
  const isCaught = (): End => (mayHaveReturned ? 'maybe' : 'never');
  for (const rule of chain.rules) {
    const open = undecidedFields(rule, walk.packet);
    if (open === undefined) continue;
    const undecided = [...before, ...open];
    const end = follow(walk, chain, rule, [...way, chain], undecided);
    const leaves = rule.verdict.kind === 'return' || rule.verdict.kind === 'goto';
    if (open.length === 0 && end === 'never') return isCaught();
    if (open.length === 0 && leaves) return end === 'maybe' ? 'maybe' : comesOut();
    if (end !== 'always') mayBeGone = true;
    if (leaves && end !== 'never') mayHaveReturned = true;
  }
  return comesOut();
}

function follow(
  walk: Walk,
  chain: ForeignChain,
  { verdict, text }: ForeignRule,
  way: readonly ForeignChain[],
  undecided: readonly Field[],
): End {
  switch (verdict.kind) {
    case 'return':
      return 'always';
    case 'accept':
      walk.mayPass = true;
      return 'never';
    case 'drop':
      walk.drops.push({ chain, rule: text, undecided });
      return 'never';
    case 'jump':
    case 'goto': {
      const target = walk.chains.find(
        (one) =>
          one.name === verdict.chain &&
          one.tool === chain.tool &&
          one.family === chain.family &&
          one.table === chain.table,
      );
      return target === undefined ? 'maybe' : walkChain(walk, target, way, undecided);
    }
  }
}

function isAboutSender(field: Field): boolean {
  return field === 'sender' || field === 'saddr' || field === 'iifname';
}

/** @returns fields that the rule asks for and the packet leaves open; undefined when the rule is for other packets. */
function undecidedFields(rule: ForeignRule, packet: Packet): readonly Field[] | undefined {
  const undecided: Field[] = [];
  for (const match of rule.matches) {
    const known = packet[match.field];
    if (known === undefined) undecided.push(match.field);
    else if (isMatch(match, known) === (match.negated === true)) return undefined;
  }
  return undecided;
}

function isMatch({ field, values }: Match, known: readonly string[]): boolean {
  return known.some((one) => values.some((value) => isOne(field, one, value)));
}

function isOne(field: Field, known: string, value: string): boolean {
  switch (field) {
    case 'iifname':
    case 'oifname':
      return value.endsWith('*') ? known.startsWith(value.slice(0, -1)) : known === value;
    case 'saddr':
    case 'daddr':
      return isWithin(known, value);
    case 'dport': {
      const [first = '', last = first] = value.split('-');
      return Number(known) >= Number(first) && Number(known) <= Number(last);
    }
    case 'daddr-type':
    case 'family':
    case 'protocol':
    case 'ct':
    case 'reverse-path':
    case 'bridged':
    case 'sender':
    case 'unknown':
      return known === value;
  }
}

/** @param value an address, a CIDR block, or a range of addresses. */
function isWithin(address: string, value: string): boolean {
  const number = parseAddress(address);
  const [first = '', last] = value.split('-');
  if (number !== undefined) {
    if (last !== undefined)
      return number >= (parseAddress(first) ?? 0) && number <= (parseAddress(last) ?? 0);
    const block = parseBlock(value.includes('/') ? value : `${value}/32`);
    return block !== undefined && contains(block, number);
  }
  const number6 = parseIpv6(address);
  if (number6 === undefined) return false;
  if (last !== undefined) return number6 >= (parseIpv6(first) ?? 0n) && number6 <= (parseIpv6(last) ?? 0n);
  const block = parseBlock6(value.includes('/') ? value : `${value}/128`);
  return block !== undefined && contains6(block, number6);
}

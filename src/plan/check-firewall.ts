// Finds rules of other firewalls that stop packets of a container (an accept in our table cannot overrule their drop),
// and names the rule and the command that would let the packets pass. Never changes such a rule. Pure.
import type { Diagnostic } from '../errors.ts';
import { describePort } from '../load/ports.ts';
import type { Spec } from '../load/spec.ts';
import { networkChain, vethName } from '../names.ts';
import { dockerUserRules, type DockerUserRule } from './docker-user-rules.ts';
import { dockerSteps } from './docker-user-step.ts';
import type { ForeignRules, HostFacts, NetworkFacts } from './facts.ts';
import { findDrop, type Drop } from './find-drop.ts';
import { hintFor } from './firewall-hints.ts';
import type { ForeignChain, ForeignRule } from './foreign-chains.ts';
import type { Lease } from './plan.ts';
import { createProblems, type Problems } from './problems.ts';
import { waysOf, type Endpoint, type Way } from './packet-ways.ts';

/** One foreign rule that stops packets, with everything that it stops. */
export interface Obstacle {
  /** Says to people what is stopped, and by which rule of which chain. */
  readonly message: string;
  readonly kind: Way['kind'];
  readonly hint: string;
}

export function checkFirewall(spec: Spec, lease: Lease, facts: HostFacts, problems: Problems): void {
  const { network } = facts;
  const { nat, ports } = spec.network;
  const [dockerUser] = dockerSteps(spec, lease, facts, vethName(spec.name));
  const endpoint = { ...lease, nat, ports, ...(dockerUser === undefined ? {} : { dockerUser }) };
  for (const reason of network.unreadable ?? [])
    problems.warning(
      'firewall-unreadable',
      ['network'],
      `rules of others cannot be read, and may drop packets of the container: ${reason}`,
      'see: runspec doctor',
    );
  for (const { kind, message, hint } of findObstacles(endpoint, network))
    problems.warning(
      'firewall-drops',
      kind === 'outward' ? ['network'] : ['network', 'ports'],
      message,
      hint,
    );
}

/** Like checkFirewall, with foreign rules that were read after the other facts. */
export function findFirewallProblems(
  spec: Spec,
  lease: Lease,
  facts: HostFacts,
  { foreignChains = [], unreadable = [] }: ForeignRules,
): readonly Diagnostic[] {
  const problems = createProblems();
  const network = { ...facts.network, foreignChains, unreadable };
  checkFirewall(spec, lease, { ...facts, network }, problems);
  return problems.all;
}

export function findObstacles(endpoint: Endpoint, facts: NetworkFacts): readonly Obstacle[] {
  const given = facts.foreignChains ?? [];
  const { dockerUser } = endpoint;
  const chains =
    dockerUser === undefined
      ? given
      : openDockerUser(given, dockerUser.link, dockerUserRules(dockerUser, facts.dockerBridges ?? []));
  const found = new Map<string, { readonly first: Way; readonly ways: Way[]; readonly drop: Drop }>();
  for (const way of waysOf(endpoint, facts)) {
    for (const base of chains) {
      const drop = findDropOf(way, base, chains);
      if (drop === undefined) continue;
      const key = `${way.kind} ${String(drop.certain)} ${show(drop)}`;
      const known = found.get(key);
      if (known === undefined) found.set(key, { first: way, ways: [way], drop });
      else known.ways.push(way);
    }
  }
  return [...found.values()].map(({ first, ways, drop }) => ({
    message: `${describeWays(ways)} ${drop.certain ? 'are' : 'may be'} dropped by ${show(drop)}`,
    kind: first.kind,
    hint: hintFor(first, endpoint, drop, chains),
  }));
}

function findDropOf(way: Way, chain: ForeignChain, chains: readonly ForeignChain[]): Drop | undefined {
  const { base, family } = chain;
  if (base === undefined || family === (way.family === 'ipv4' ? 'ip6' : 'ip')) return undefined;
  const packet = way.at[base.hook]?.(base.priority);
  if (packet === undefined) return undefined;
  const drop = findDrop(chain, chains, packet);
  // The destinations of a container are unknown, and an admin who allows only some of them may mean just that.
  return way.kind === 'outward' && drop?.certain === false ? undefined : drop;
}

/** The chains as they are once the container's docker-user step is applied. */
function openDockerUser(
  chains: readonly ForeignChain[],
  link: string,
  rules: readonly DockerUserRule[],
): readonly ForeignChain[] {
  const own = networkChain(link);
  return chains.flatMap((chain): readonly ForeignChain[] => {
    if (chain.name === own) return [];
    if (chain.name !== 'DOCKER-USER' || chain.family !== 'ip') return [chain];
    const others = chain.rules.filter(({ verdict }) => !('chain' in verdict) || verdict.chain !== own);
    const end = others.findIndex(({ verdict, matches }) => verdict.kind === 'return' && matches.length === 0);
    const jump: ForeignRule = { text: '', matches: [], verdict: { kind: 'jump', chain: own } };
    const opened = others.toSpliced(end === -1 ? others.length : end, 0, jump);
    return [
      { ...chain, rules: opened },
      { ...chain, name: own, rules: rules.map(asForeign) },
    ];
  });
}

function asForeign({ matches, verdict }: DockerUserRule): ForeignRule {
  return {
    text: '',
    matches: matches.map(({ field, value }) => ({ field, values: [value] })),
    verdict: { kind: verdict },
  };
}

const SHOWN_PORTS = 4;

function describeWays(ways: readonly Way[]): string {
  const [way] = ways;
  if (way?.kind === 'outward') return 'packets of the container for other hosts';
  const ports = [...new Set(ways.flatMap(({ port }) => (port === undefined ? [] : [describePort(port)])))];
  const more = ports.length - SHOWN_PORTS;
  const listed = `${ports.slice(0, SHOWN_PORTS).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const noun = ports.length === 1 ? 'port' : 'ports';
  return way?.kind === 'local'
    ? `packets between this host and ${noun} ${listed}`
    : `packets of other hosts for ${noun} ${listed}`;
}

function show({ chain, rule }: Drop): string {
  const family = chain.tool === 'nft' ? `${chain.family} ` : '';
  return `${chain.tool}, table ${family}${chain.table}, chain ${chain.name}: ${rule}`;
}

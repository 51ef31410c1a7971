// Hints: the command that makes a foreign firewall let packets of a container pass, in the words of the tool that wrote
// the rule. Our own table still limits what comes in to published ports.
import type { Drop } from './find-drop.ts';
import type { ForeignChain } from './foreign-chains.ts';
import type { Endpoint, Way } from './packet-ways.ts';

export function hintFor(
  { kind, family }: Pick<Way, 'kind' | 'family'>,
  { link, address, address6 }: Endpoint,
  { base, chain: { tool, family: tableFamily, table } }: Drop,
  chains: readonly ForeignChain[],
): string {
  const has = (name: RegExp): boolean =>
    chains.some(
      (one) => one.tool === tool && one.family === tableFamily && one.table === table && name.test(one.name),
    );
  const outward = kind === 'outward';
  const hook = base.base?.hook;
  if (hook === 'forward' && has(/^ufw6?-user-forward$/))
    return `ufw route allow ${outward ? 'in' : 'out'} on ${link}`;
  if (hook === 'forward' && (table === 'firewalld' || has(/^FORWARD_ZONES$/)))
    return `firewall-cmd --permanent --zone=trusted --add-interface=${link} && firewall-cmd --reload (its containers then reach every port of this host)`;
  // A packet at prerouting is not routed yet: no match there tells packets for containers from others.
  if (hook === undefined || hook === 'prerouting') return `let them pass in chain ${base.name}`;
  const [ip, destination = 'unknown'] = family === 'ipv4' ? ['ip', address] : ['ip6', address6];
  if (tool === 'nft') {
    const which = {
      forward: `${outward ? 'iifname' : 'oifname'} "${link}"`,
      output: `${ip} daddr ${destination}`,
      input: `iifname "${link}" ct state established`,
    }[hook];
    return `nft insert rule ${tableFamily} ${table} ${base.name} ${which} accept`;
  }
  const which = {
    forward: `${outward ? '-i' : '-o'} ${link}`,
    output: `-d ${destination}`,
    input: `-i ${link} -m conntrack --ctstate ESTABLISHED`,
  }[hook];
  const start = hook === 'forward' && has(/^DOCKER-USER$/) ? 'DOCKER-USER' : base.name;
  return `${tool}${table === 'filter' ? '' : ` -t ${table}`} -I ${start} ${which} -j ACCEPT`;
}

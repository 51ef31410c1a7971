// Firewalls as others write them, what they do to a container, and what would let its packets pass. ufw and firewalld
// wrote those of test/fixtures/firewall themselves.
import fs from 'node:fs';
import path from 'node:path';
import type { TestHost } from './test-host.ts';

/** Bridge of the container. */
export const LINK = 'wall0';

const fixture = (name: string): string =>
  fs.readFileSync(path.resolve(import.meta.dirname, '../fixtures/firewall', name), 'utf8');

type Load = (host: TestHost) => Promise<void>;

export const load =
  (text: string): Load =>
  async (host) =>
    void (await host.output(['nft', '-f', '-'], { stdin: text }));

const restore =
  (tool: string, ...texts: readonly string[]): Load =>
  async (host) => {
    const [rules, rules6] = texts;
    await host.output([`${tool}-restore`], { stdin: rules ?? '' });
    if (rules6 !== undefined) await host.output([`${tool.replace('ip', 'ip6')}-restore`], { stdin: rules6 });
  };

const run =
  (...commands: readonly string[]): Load =>
  async (host) => {
    for (const command of commands) await host.output(['sh', '-c', command]);
  };

/** Whether packets pass: from another host, from the host by 127.0.0.1, to another host. */
export type Passes = readonly ['inward' | '-', 'local' | '-', 'outward' | '-'];

export interface Case {
  readonly title: string;
  readonly needs?: readonly string[];
  readonly prepare: Load;
  /** What the plan says, in any order. */
  readonly stops: readonly string[];
  readonly passes: Passes;
  /** The hints, in any order. */
  readonly hints: readonly string[];
  /** Does to these rules what the hints would do. */
  readonly allow: Load;
}

const INWARD = 'packets of other hosts for port 8080/tcp';
const OUTWARD = 'packets of the container for other hosts';
const LOCAL = 'packets between this host and port 8080/tcp';

const ufw = (tool: 'iptables' | 'iptables-legacy'): Case => ({
  title: `ufw by ${tool}`,
  needs: [`${tool}-restore`],
  prepare: restore(
    tool === 'iptables' ? 'iptables-nft' : tool,
    fixture('ufw.v4.rules'),
    fixture('ufw.v6.rules'),
  ),
  stops: [
    `${INWARD} are dropped by ${tool}, table filter, chain FORWARD: policy drop`,
    `${OUTWARD} are dropped by ${tool}, table filter, chain FORWARD: policy drop`,
    `${INWARD} are dropped by ${tool.replace('ip', 'ip6')}, table filter, chain FORWARD: policy drop`,
    `${OUTWARD} are dropped by ${tool.replace('ip', 'ip6')}, table filter, chain FORWARD: policy drop`,
  ],
  passes: ['-', 'local', '-'],
  hints: [`ufw route allow out on ${LINK}`, `ufw route allow in on ${LINK}`],
  // As ufw itself adds them, to both families.
  allow: run(
    ...['-o', '-i'].flatMap((way) => {
      const real = tool === 'iptables' ? 'iptables-nft' : tool;
      return [
        `${real} -A ufw-user-forward ${way} ${LINK} -j ACCEPT`,
        `${real.replace('ip', 'ip6')} -A ufw6-user-forward ${way} ${LINK} -j ACCEPT`,
      ];
    }),
  ),
});

export const firewalld = fixture('firewalld.nft');
const REJECT = 'reject with icmpx admin-prohibited';

export const CASES: readonly Case[] = [
  ufw('iptables'),
  ufw('iptables-legacy'),
  {
    title: 'firewalld',
    prepare: load(firewalld),
    stops: [],
    passes: ['inward', 'local', 'outward'],
    hints: [],
    allow: run(),
  },
  {
    title: 'firewalld that forwards nothing within its zone',
    // All that `firewall-cmd --zone=public --remove-forward` changes.
    prepare: load(firewalld.replace('\t\toifname "eth0" accept\n', '')),
    stops: [`${OUTWARD} are dropped by nft, table inet firewalld, chain filter_FWD_public: ${REJECT}`],
    passes: ['inward', 'local', '-'],
    hints: [
      `firewall-cmd --permanent --zone=trusted --add-interface=${LINK} && firewall-cmd --reload (its containers then reach every port of this host)`,
    ],
    // What of it concerns forwarded packets.
    allow: run(
      'nft add chain inet firewalld filter_FWD_trusted "{ accept; }"',
      `nft insert rule inet firewalld filter_FORWARD_ZONES iifname ${LINK} goto filter_FWD_trusted`,
    ),
  },
  {
    title: 'firewalld by iptables-legacy',
    needs: ['iptables-legacy-restore'],
    prepare: restore('iptables-legacy', fixture('firewalld.v4.rules')),
    stops: [],
    passes: ['inward', 'local', 'outward'],
    hints: [],
    allow: run(),
  },
  {
    title: 'a ruleset that forwards nothing',
    prepare: load(fixture('default-deny.nft')),
    stops: [
      `${INWARD} are dropped by nft, table inet filter, chain forward: policy drop`,
      `${OUTWARD} are dropped by nft, table inet filter, chain forward: policy drop`,
    ],
    passes: ['-', 'local', '-'],
    hints: [
      `nft insert rule inet filter forward oifname "${LINK}" accept`,
      `nft insert rule inet filter forward iifname "${LINK}" accept`,
    ],
    allow: run(
      `nft insert rule inet filter forward oifname ${LINK} accept`,
      `nft insert rule inet filter forward iifname ${LINK} accept`,
    ),
  },
  {
    title: 'a rule against 127.0.0.0/8 from outside',
    needs: ['iptables-legacy'],
    prepare: run(
      'iptables-legacy -A INPUT -i lo -j ACCEPT',
      'iptables-legacy -A INPUT ! -i lo -d 127.0.0.0/8 -j REJECT',
      'iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT',
    ),
    stops: [
      `${LOCAL} are dropped by iptables-legacy, table filter, chain INPUT: -A INPUT -d 127.0.0.0/8 ! -i lo -j REJECT --reject-with icmp-port-unreachable`,
    ],
    passes: ['inward', '-', 'outward'],
    hints: [`iptables-legacy -I INPUT -i ${LINK} -m conntrack --ctstate ESTABLISHED -j ACCEPT`],
    allow: run(`iptables-legacy -I INPUT -i ${LINK} -m conntrack --ctstate ESTABLISHED -j ACCEPT`),
  },
];

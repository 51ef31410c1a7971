// What rules of others do to a container with one published port. The rules are written as the tools print them.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseIptables } from '../../src/host/iptables-chains.ts';
import { findObstacles } from '../../src/plan/check-firewall.ts';
import type { ForeignChain } from '../../src/plan/foreign-chains.ts';
import type { Endpoint } from '../../src/plan/packet-ways.ts';
import { FACTS, hints, IN, OUT, told, WEB } from './behind-firewall.ts';

const FORWARD = 'iptables, table filter, chain FORWARD:';

/** The table filter with these rules in FORWARD, as iptables-save has it. */
function forward(policy: 'ACCEPT' | 'DROP', ...rules: readonly string[]): readonly ForeignChain[] {
  const lines = rules.map((rule) =>
    rule.startsWith(':') || rule.startsWith('-A') ? rule : `-A FORWARD ${rule}`,
  );
  const chains = [`:FORWARD ${policy} [0:0]`, ...lines.filter((line) => line.startsWith(':'))];
  const text = ['*filter', ...chains, ...lines.filter((line) => !line.startsWith(':')), 'COMMIT', ''].join(
    '\n',
  );
  return parseIptables(text, 'iptables');
}

describe('a firewall of others', () => {
  it.each<readonly [string, readonly ForeignChain[], readonly string[]]>([
    ['that accepts', forward('ACCEPT'), []],
    [
      'that drops',
      forward('DROP'),
      [`${IN} are dropped by ${FORWARD} policy drop`, `${OUT} are dropped by ${FORWARD} policy drop`],
    ],
    [
      'that lets answers and pings pass only',
      forward(
        'DROP',
        '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        '-p icmp -m icmp --icmp-type 8 -j ACCEPT',
      ),
      [`${IN} are dropped by ${FORWARD} policy drop`, `${OUT} are dropped by ${FORWARD} policy drop`],
    ],
    [
      'that lets what is translated pass',
      forward('DROP', '-m conntrack --ctstate DNAT -j ACCEPT'),
      [`${OUT} are dropped by ${FORWARD} policy drop`],
    ],
    ['that lets this network pass', forward('DROP', '-o br0 -j ACCEPT', '-i br+ -j ACCEPT'), []],
    [
      'that lets another network pass',
      forward('DROP', '-o br1 -j ACCEPT', '-i br1 -j ACCEPT'),
      [`${IN} are dropped by ${FORWARD} policy drop`, `${OUT} are dropped by ${FORWARD} policy drop`],
    ],
    [
      'that drops for another port',
      forward(
        'ACCEPT',
        '-p tcp -m tcp --dport 81 -j DROP',
        '-p udp -m udp --dport 80 -j DROP',
        '-d 10.208.0.0/16 -j DROP',
      ),
      [],
    ],
    [
      'that drops for this port',
      forward('ACCEPT', '-d 10.209.0.0/16 -p tcp -m multiport --dports 79:80,443 -j DROP'),
      [
        `${IN} are dropped by ${FORWARD} -A FORWARD -d 10.209.0.0/16 -p tcp -m multiport --dports 79:80,443 -j DROP`,
      ],
    ],
    [
      'that drops all but',
      forward('ACCEPT', '! -i eth0 -j DROP'),
      [`${OUT} are dropped by ${FORWARD} -A FORWARD ! -i eth0 -j DROP`],
    ],
    [
      'that shuts some senders out',
      forward(
        'ACCEPT',
        '-s 203.0.113.0/24 -j DROP',
        '-m set --match-set bad src -j DROP',
        '-p tcp -m tcp --tcp-flags SYN,RST SYN,RST -j DROP',
        '-m limit --limit 3/min -j REJECT --reject-with icmp-port-unreachable',
      ),
      [],
    ],
    [
      'that accepts some senders only',
      forward('DROP', '-s 203.0.113.0/24 -j ACCEPT', '-i br0 -j ACCEPT'),
      [`${IN} may be dropped by ${FORWARD} policy drop`],
    ],
    [
      'that drops by what cannot be judged',
      forward('ACCEPT', '-m mark --mark 0x1 -j DROP'),
      [`${IN} may be dropped by ${FORWARD} -A FORWARD -m mark --mark 0x1 -j DROP`],
    ],
    [
      'that only logs',
      forward('ACCEPT', '-j LOG --log-prefix "[DROP] -j DROP "', '-m comment --comment "-j DROP" -j RETURN'),
      [],
    ],
    [
      'that returns from a chain before it drops',
      forward(
        'ACCEPT',
        ':guard - [0:0]',
        '-j guard',
        '-A guard -o br0 -j RETURN',
        '-A guard -i br0 -j RETURN',
        '-A guard -j DROP',
      ),
      [],
    ],
    [
      'that returns for some',
      forward(
        'ACCEPT',
        ':guard - [0:0]',
        '-o br0 -j guard',
        '-A guard -s 192.0.2.0/24 -j RETURN',
        '-A guard -j DROP',
      ),
      [`${IN} may be dropped by iptables, table filter, chain guard: -A guard -j DROP`],
    ],
    [
      'that goes to a chain and never comes back',
      forward('DROP', ':zone - [0:0]', '-g zone', '-j ACCEPT', '-A zone -o br1 -j ACCEPT'),
      [`${IN} are dropped by ${FORWARD} policy drop`, `${OUT} are dropped by ${FORWARD} policy drop`],
    ],
    [
      'that jumps to a chain that decides',
      forward(
        'ACCEPT',
        ':zone - [0:0]',
        '-o br0 -j zone',
        '-j ACCEPT',
        '-A zone -j REJECT --reject-with icmp-port-unreachable',
      ),
      [
        `${IN} are dropped by iptables, table filter, chain zone: -A zone -j REJECT --reject-with icmp-port-unreachable`,
      ],
    ],
    ['whose chains lead in a circle', forward('ACCEPT', ':one - [0:0]', '-j one', '-A one -j one'), []],
  ])('%s', (_, chains, expected) => {
    expect(told(chains)).toEqual(expected);
  });

  it('is another for each family', () => {
    const chains = parseIptables('*filter\n:FORWARD DROP [0:0]\nCOMMIT\n', 'ip6tables');
    expect(told(chains)).toHaveLength(2);
    const { address6: _, ...only4 } = WEB;
    expect(findObstacles(only4, { ...FACTS, foreignChains: chains })).toEqual([]);
  });

  it('does not keep a port of the loopback address from other hosts', () => {
    const ports = WEB.ports.map((port) => ({ ...port, hostIP: '127.0.0.1' }));
    const found = findObstacles({ ...WEB, ports, nat: false }, { ...FACTS, foreignChains: forward('DROP') });
    expect(found).toEqual([]);
  });

  it('that is Docker’s lets pass what the rule in DOCKER-USER accepts', () => {
    const docker = forward('DROP', ':DOCKER-USER - [0:0]', '-j DOCKER-USER', '-A DOCKER-USER -j RETURN');
    expect(told(docker, { dockerUser: { link: 'br0' } })).toEqual([]);
    expect(hints(docker)).toEqual([
      'iptables -I DOCKER-USER -o br0 -j ACCEPT',
      'iptables -I DOCKER-USER -i br0 -j ACCEPT',
    ]);
    const guarded = forward(
      'DROP',
      ':DOCKER-USER - [0:0]',
      '-j DOCKER-USER',
      '-A DOCKER-USER -i eth0 -j DROP',
      '-A DOCKER-USER -j RETURN',
    );
    expect(told(guarded, { dockerUser: { link: 'br0' } })).toEqual([
      `${IN} are dropped by iptables, table filter, chain DOCKER-USER: -A DOCKER-USER -i eth0 -j DROP`,
    ]);
  });

  describe('that is Docker’s, on a bridge that is not ours,', () => {
    const rules = [':DOCKER-USER - [0:0]', '-j DOCKER-USER', '-A DOCKER-USER -j RETURN'];
    const joined = (bridge: string): Partial<Endpoint> => ({
      link: bridge,
      dockerUser: { link: 'rs4b5e57f6', joined: { bridge, address: '10.209.0.2' } },
    });
    const outward = `${OUT} are dropped by ${FORWARD} policy drop`;

    it('lets packets of the container pass', () => {
      expect(told(forward('DROP', ...rules), joined('lan0'))).toEqual([]);
    });

    it('lets packets of no other address pass', () => {
      const other = { ...joined('lan0'), address: '10.209.0.3' };
      expect(told(forward('DROP', ...rules), other)).toEqual([
        `${IN} are dropped by ${FORWARD} policy drop`,
        outward,
      ]);
    });

    it('decides itself what its own bridges send', () => {
      expect(told(forward('DROP', ...rules), joined('docker0'))).toEqual([outward]);
      expect(told(forward('DROP', ...rules), joined('mynet'), { dockerBridges: ['mynet'] })).toEqual([
        outward,
      ]);
      const accepting = forward('DROP', ...rules, '-i docker0 ! -o docker0 -j ACCEPT');
      expect(told(accepting, joined('docker0'))).toEqual([]);
    });

    it('takes the chain as it will be, not as it is', () => {
      const wide = ['-A DOCKER-USER -j runspec-rs4b5e57f6', '-A runspec-rs4b5e57f6 -i docker0 -j ACCEPT'];
      const [chain, ...others] = rules;
      const now = forward('DROP', chain ?? '', ':runspec-rs4b5e57f6 - [0:0]', ...wide, ...others);
      expect(told(now, joined('docker0'))).toEqual([outward]);
    });
  });

  it('that is Docker’s decides what goes to its own bridges', () => {
    const docker = forward('DROP', ':DOCKER-USER - [0:0]', '-j DOCKER-USER', '-A DOCKER-USER -j RETURN');
    const routes = [{ destination: '0.0.0.0/0', link: 'mynet' }];
    const step = { dockerUser: { link: 'br0' } };
    expect(told(docker, step, { routes })).toEqual([]);
    expect(told(docker, step, { routes, dockerBridges: ['mynet'] })).toEqual([
      `${OUT} are dropped by ${FORWARD} policy drop`,
    ]);
  });

  it.each(['ip6tables', 'iptables-legacy'] as const)(
    'that is Docker’s by %s is named with its chain',
    (tool) => {
      const text = [
        '*filter',
        ':FORWARD DROP [0:0]',
        ':DOCKER-USER - [0:0]',
        '-A FORWARD -j DOCKER-USER',
        '-A DOCKER-USER -j RETURN',
        'COMMIT',
      ];
      const chains = parseIptables(text.join('\n'), tool);
      expect(told(chains)).toEqual(
        [IN, OUT].map((what) => `${what} are dropped by ${tool}, table filter, chain FORWARD: policy drop`),
      );
      expect(hints(chains)).toEqual(['-o', '-i'].map((way) => `${tool} -I DOCKER-USER ${way} br0 -j ACCEPT`));
    },
  );

  it('of ufw and firewalld is read as they write it', () => {
    const read = (name: string): readonly ForeignChain[] =>
      parseIptables(
        readFileSync(new URL(`../fixtures/firewall/${name}`, import.meta.url), 'utf8'),
        'iptables',
      );
    expect(hints(read('ufw.v4.rules'))).toEqual(['ufw route allow out on br0', 'ufw route allow in on br0']);
    expect(told(read('firewalld.v4.rules'))).toEqual([]);
  });
});

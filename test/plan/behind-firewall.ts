// A container with one published port behind rules of others: what runspec says of them.
import { findObstacles } from '../../src/plan/check-firewall.ts';
import type { NetworkFacts } from '../../src/plan/facts.ts';
import type { ForeignChain } from '../../src/plan/foreign-chains.ts';
import type { Endpoint } from '../../src/plan/packet-ways.ts';

export const WEB: Endpoint = {
  link: 'br0',
  address: '10.209.0.2',
  address6: 'fd00:209::2',
  nat: true,
  ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
};

export const FACTS: NetworkFacts = {
  ipv6: 'used',
  links: [],
  addresses: [],
  routes: [
    { destination: '0.0.0.0/0', link: 'eth0' },
    { destination: '::/0', link: 'eth0' },
  ],
};

export const told = (
  chains: readonly ForeignChain[],
  endpoint: Partial<Endpoint> = {},
  facts: Partial<NetworkFacts> = {},
): readonly string[] =>
  findObstacles({ ...WEB, ...endpoint }, { ...FACTS, foreignChains: chains, ...facts }).map(
    ({ message }) => message,
  );

export const hints = (chains: readonly ForeignChain[]): readonly string[] =>
  findObstacles(WEB, { ...FACTS, foreignChains: chains }).map(({ hint }) => hint);

export const IN = 'packets of other hosts for port 8080/tcp';
export const OUT = 'packets of the container for other hosts';

// The table `inet runspec` as data. Ports are map elements, so a packet's look-up costs the same with one container and
// with a thousand. Only the guard chain drops packets that are not a container's.
import { LOOPBACK6 } from './subnets6.ts';
import type { NftTableStep } from './plan.ts';

/** Sets whose keys are names of links. */
export const LINK_SETS: ReadonlySet<string> = new Set(['networks', 'joined', 'within']);

const LEAVING_BY_JOINED = 'oifname @joined iifname @networks iifname . oifname != @within';

/**
 * Sets and maps:
 * - `networks`: links behind which containers are (bridges, host ends of point-to-point veths)
 * - `joined`: foreign bridges among `networks`, behind which there is more than containers
 * - `within`: each link of `networks` paired with itself: traffic that stays on one bridge
 * - `members`: addresses of containers on these networks
 * - `sources`: addresses to masquerade when they leave their network
 * - `ports`, `ports_on`: published ports on every host address, and on a single one
 * - `members6`, `sources6`, `ports6`, `ports6_on`: the same for IPv6
 */
export const FIREWALL: Pick<NftTableStep, 'sets' | 'chains'> = {
  sets: [
    { name: 'networks', declaration: 'set { type ifname; }' },
    { name: 'joined', declaration: 'set { type ifname; }' },
    { name: 'within', declaration: 'set { type ifname . ifname; }' },
    { name: 'members', declaration: 'set { type ipv4_addr; }' },
    { name: 'sources', declaration: 'set { type ipv4_addr; }' },
    { name: 'ports', declaration: 'map { type inet_proto . inet_service : ipv4_addr . inet_service; }' },
    {
      name: 'ports_on',
      declaration: 'map { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }',
    },
    { name: 'members6', declaration: 'set { type ipv6_addr; }' },
    { name: 'sources6', declaration: 'set { type ipv6_addr; }' },
    { name: 'ports6', declaration: 'map { type inet_proto . inet_service : ipv6_addr . inet_service; }' },
    {
      name: 'ports6_on',
      declaration: 'map { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }',
    },
  ],
  chains: [
    {
      // route_localnet lets 127.0.0.0/8 leave by our bridge; nothing may come in for it by any other link.
      name: 'guard',
      header: 'type filter hook prerouting priority raw; policy accept;',
      rules: ['iifname != "lo" ip daddr 127.0.0.0/8 drop'],
    },
    {
      name: 'prerouting',
      header: 'type nat hook prerouting priority dstnat; policy accept;',
      rules: publish(),
    },
    {
      // nftables 1.0.6 takes the name `dstnat` for the prerouting hook only: -100 is the same.
      name: 'output',
      header: 'type nat hook output priority -100; policy accept;',
      rules: publish(),
    },
    {
      name: 'postrouting',
      header: 'type nat hook postrouting priority srcnat; policy accept;',
      rules: [
        // The answer of a port published on loopback must come back through the host.
        'oifname @networks ip daddr @members ip saddr 127.0.0.0/8 masquerade',
        // A container reaches a sibling (or itself) by a published port: without masquerade the answer would go
        // directly. Matched by address, because packets that br_netfilter sends through here have no input interface.
        'ip saddr @members oifname @networks ct status dnat masquerade',
        'ip saddr @sources oifname != @networks masquerade',
        // Containers of other networks leave theirs by a joined bridge. Packets of containers on that bridge stay
        // there: they match @within, or have no input interface, as with br_netfilter (and always before Linux 5.7).
        `ip saddr @sources ${LEAVING_BY_JOINED} masquerade`,
        // The container answers to this address, and nft-ingress leads the answer to lo: no other interface takes
        // packets for ::1.
        `oifname @networks ip6 daddr @members6 ip6 saddr ::1 snat ip6 to ${LOOPBACK6}`,
        'ip6 saddr @members6 oifname @networks ct status dnat masquerade',
        'ip6 saddr @sources6 oifname != @networks masquerade',
        `ip6 saddr @sources6 ${LEAVING_BY_JOINED} masquerade`,
      ],
    },
    {
      name: 'forward',
      header: 'type filter hook forward priority filter; policy accept;',
      rules: [
        'oifname @networks ct state established,related accept',
        'oifname @networks ct status dnat accept',
        // br_netfilter (Docker loads it) sends what stays on one bridge through here too.
        'iifname . oifname @within accept',
        // Other hosts get in by a published port only, and nothing passes between two bridges.
        'oifname @networks oifname != @joined drop',
        // A joined bridge may be the host's uplink: only packets for containers on it are ours to drop.
        'oifname @joined ip daddr @members drop',
        'oifname @joined ip6 daddr @members6 drop',
      ],
    },
  ],
};

function publish(): readonly string[] {
  return [
    'fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @ports_on',
    'fib daddr type local dnat ip to meta l4proto . th dport map @ports',
    'fib daddr type local dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_on',
    'fib daddr type local dnat ip6 to meta l4proto . th dport map @ports6',
  ];
}

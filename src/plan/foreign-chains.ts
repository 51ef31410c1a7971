// Filter chains of others, of nft and of both kinds of iptables in one form, as facts for a plan.

/** Who writes such rules, and by whose words they are shown. */
export type FirewallTool = 'nft' | 'iptables' | 'ip6tables' | 'iptables-legacy' | 'ip6tables-legacy';

export interface ForeignChain {
  readonly tool: FirewallTool;
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly name: string;
  /** Of chains that the kernel calls; the others are jumped to. */
  readonly base?: {
    readonly hook: Hook;
    readonly priority: number;
    readonly policy: 'accept' | 'drop';
  };
  /** In order; those that only count, log or mark are left out. */
  readonly rules: readonly ForeignRule[];
}

export type Hook = 'prerouting' | 'input' | 'forward' | 'output';

export interface ForeignRule {
  /** As the tool writes it. */
  readonly text: string;
  readonly matches: readonly Match[];
  readonly verdict:
    | { readonly kind: 'accept' | 'drop' | 'return' }
    | { readonly kind: 'jump' | 'goto'; readonly chain: string };
}

export interface Match {
  readonly field: Field;
  /** One of them is enough. Interfaces may end in `*`, addresses in `/8`, ports be a range `80-90`. */
  readonly values: readonly string[];
  readonly negated?: true;
}

/**
 * - `ct`: states (`new`, `established`…) and `dnat` in one
 * - `reverse-path`: `missing` where the way back to the source leads by another link
 * - `sender`: who sends, how much, and with what in its header; nothing that depends on us
 * - `unknown`: what this reader cannot judge
 */
export type Field =
  | 'iifname'
  | 'oifname'
  | 'saddr'
  | 'daddr'
  | 'daddr-type'
  | 'family'
  | 'protocol'
  | 'dport'
  | 'ct'
  | 'reverse-path'
  | 'bridged'
  | 'sender'
  | 'unknown';

/** What is known of a packet; a field that is absent may have any value. */
export type Packet = Readonly<Partial<Record<Field, readonly string[]>>>;

// Filter chains of other firewalls as facts for a plan: those of nft and of both kinds of iptables, in one form.

/** Tool that writes such rules, and in whose words they are shown. */
export type FirewallTool = 'nft' | 'iptables' | 'ip6tables' | 'iptables-legacy' | 'ip6tables-legacy';

export interface ForeignChain {
  readonly tool: FirewallTool;
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly name: string;
  /** Set for chains that the kernel calls; other chains are only jumped to. */
  readonly base?: {
    readonly hook: Hook;
    readonly priority: number;
    readonly policy: 'accept' | 'drop';
  };
  /** Rules in order, without those that only count, log or mark. */
  readonly rules: readonly ForeignRule[];
}

export type Hook = 'prerouting' | 'input' | 'forward' | 'output';

export interface ForeignRule {
  /** The rule as the tool writes it. */
  readonly text: string;
  readonly matches: readonly Match[];
  readonly verdict:
    | { readonly kind: 'accept' | 'drop' | 'return' }
    | { readonly kind: 'jump' | 'goto'; readonly chain: string };
}

export interface Match {
  readonly field: Field;
  /** Alternatives: one of them has to match. Interfaces may end in `*`, addresses in `/8`, ports be a range `80-90`. */
  readonly values: readonly string[];
  readonly negated?: true;
}

/**
 * - `ct`: states (`new`, `established`…) and `dnat` in one
 * - `reverse-path`: `missing` where the way back to the source leads by another link
 * - `sender`: the sender, its rate and the header fields that it chooses; nothing that depends on runspec
 * - `unknown`: a match that this reader cannot judge
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

/** A packet as far as it is known; a field that is absent may have any value. */
export type Packet = Readonly<Partial<Record<Field, readonly string[]>>>;

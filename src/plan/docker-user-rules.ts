// Rules of the chain that DOCKER-USER leads packets of one network to: for the step that writes them, and for the check
// of foreign firewalls, which must know what they let pass. Pure.
import type { DockerUserStep } from './docker-user-step.ts';

export interface DockerUserRule {
  /** In the order in which iptables writes them. */
  readonly matches: readonly {
    readonly field: 'saddr' | 'daddr' | 'iifname' | 'oifname';
    /** A block, or an interface, which may end in `*`. */
    readonly value: string;
  }[];
  readonly verdict: 'accept' | 'return';
}

/** @param bridges names of Docker's bridges; `docker0` and `br-…` are covered without being listed. */
export function dockerUserRules(
  { link, joined }: Pick<DockerUserStep, 'link' | 'joined'>,
  bridges: readonly string[],
): readonly DockerUserRule[] {
  const name = joined?.bridge ?? link;
  const only = (field: 'saddr' | 'daddr'): DockerUserRule['matches'] =>
    joined === undefined ? [] : [{ field, value: `${joined.address}/32` }];
  // The forward chain of our own table decides who may come in.
  const inward: DockerUserRule = {
    matches: [...only('daddr'), { field: 'oifname', value: name }],
    verdict: 'accept',
  };
  // Docker decides what its own bridges send.
  if (bridges.includes(name) || isDockerLink({ name, kind: 'bridge' })) return [inward];
  const others = bridges.filter((one) => one !== link && one !== 'docker0' && !one.startsWith('br-'));
  return [
    inward,
    // Docker also decides who may go to its containers: packets for its bridges return to its own rules.
    ...['docker0', 'br-*', ...others].map((value): DockerUserRule => ({
      matches: [{ field: 'oifname', value }],
      verdict: 'return',
    })),
    { matches: [...only('saddr'), { field: 'iifname', value: name }], verdict: 'accept' },
  ];
}

/** Whether only Docker makes such a link: where there is none, iptables need not be started. */
export function isDockerLink({
  name,
  kind,
}: {
  readonly name: string;
  readonly kind: string | undefined;
}): boolean {
  return kind === 'bridge' && /^(?:docker0|docker_gwbridge|br-[0-9a-f]{12})$/.test(name);
}

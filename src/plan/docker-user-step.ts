// The kind of step that is there beside Docker only.
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import type { Lease } from './plan.ts';
import type { StepBase } from './step-base.ts';

/** One rule in Docker's chain DOCKER-USER that lets packets of a network pass, and the chain that it leads to. */
export interface DockerUserStep extends StepBase {
  readonly op: 'docker-user';
  /** Bridge, or host end of a point-to-point veth. */
  readonly link: string;
  /** Owner, as in `runspec:web`; for a bridge `runspec`. */
  readonly comment: string;
}

/** Only where Docker is: its FORWARD chain drops what none of its rules accepts. */
export function dockerSteps(spec: Spec, lease: Lease, facts: HostFacts): readonly DockerUserStep[] {
  if (facts.network.dockerUser !== true) return [];
  const isBridge = spec.network.mode === 'bridge';
  return [
    {
      id: `docker:${lease.link}`,
      op: 'docker-user',
      link: lease.link,
      comment: isBridge ? 'runspec' : `runspec:${spec.name}`,
      needs: [],
      // What it lets through is limited by our own table: never the one without the other.
      after: ['nft:table', `network:${lease.link}`],
      ...(isBridge ? { shared: true as const } : {}),
    },
  ];
}

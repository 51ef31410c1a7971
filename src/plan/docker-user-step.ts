// The kind of step that is there beside Docker only.
import type { Spec } from '../load/spec.ts';
import { OURS, ownerOf } from '../names.ts';
import type { HostFacts } from './facts.ts';
import type { Lease } from './plan.ts';
import type { StepBase } from './step-base.ts';
import { isForeignLink } from './subnets.ts';

/** One rule in Docker's chain DOCKER-USER that lets packets of a network pass, and the chain that it leads to. */
export interface DockerUserStep extends StepBase {
  readonly op: 'docker-user';
  /** Bridge, or host end of the container's veth; the chain is named after it. */
  readonly link: string;
  /** Owner, as in `runspec:web`; for a bridge `runspec`. */
  readonly comment: string;
  /** On a bridge of somebody else, behind which there is more than containers: this address alone. */
  readonly joined?: { readonly bridge: string; readonly address: string };
}

/** Only where Docker is: its FORWARD chain drops what none of its rules accepts. */
export function dockerSteps(
  spec: Spec,
  lease: Lease,
  facts: HostFacts,
  veth: string,
): readonly DockerUserStep[] {
  if (facts.network.dockerUser !== true) return [];
  const { address, link } = lease;
  // What it lets through is limited by our own table: never the one without the other.
  const edges = { needs: [], after: ['nft:table', `network:${link}`] };
  if (spec.network.mode === 'bridge' && !isForeignLink(link, facts))
    return [
      { id: `docker:${link}`, op: 'docker-user', link, comment: OURS, ...edges, shared: true as const },
    ];
  const own = {
    id: `docker:${veth}`,
    op: 'docker-user',
    link: veth,
    comment: ownerOf(spec.name),
  } as const;
  const joined = link === veth ? {} : { joined: { bridge: link, address } };
  return [{ ...own, ...joined, ...edges }];
}

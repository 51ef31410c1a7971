// The docker-user step, which a plan has only on hosts with Docker.
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
  /** Set on a foreign bridge, which serves others than our containers: only this address may pass. */
  readonly joined?: { readonly bridge: string; readonly address: string };
}

/** Steps for a host with Docker, whose FORWARD chain drops what none of its rules accepts; none elsewhere. */
export function dockerSteps(
  spec: Spec,
  lease: Lease,
  facts: HostFacts,
  veth: string,
): readonly DockerUserStep[] {
  if (facts.network.dockerUser !== true) return [];
  const { address, link } = lease;
  // Our own nft table limits what this rule lets through: the rule must not be there without the table.
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

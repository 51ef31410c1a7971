// Containers on a bridge of which no record here tells. What they use of the bridge stays as it is: no call of this
// runspec can change them with it.
import type { HostFacts } from './facts.ts';

/** Ways to give a bridge another network. */
export const CHANGE_ALL = 'change all that are on it in one call';
export const TAKE_DOWN = 'take that container down first';

/** @returns the name of one with how it is unknown here; undefined when there is none on the link. */
export function findElsewhere(
  link: string,
  { neighboursElsewhere, dataDir }: HostFacts,
  which?: 'with IPv6',
): string | undefined {
  const found = neighboursElsewhere.find((one) => one.link === link && (one.hasIpv6 || which === undefined));
  return found && `${found.container}, which has no readable record in ${dataDir}`;
}

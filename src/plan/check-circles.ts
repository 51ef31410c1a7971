// Refuses containers that join each other's namespaces in a circle: none of them could be made first. load reports
// circles within one text; this check also sees those that close over containers that are up.
import { findWayTo, joinedBy } from '../load/joined.ts';
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import type { Problems } from './problems.ts';

/** @param together all specs of the call; their joins replace those of the containers that are up. */
export function checkCircles(
  spec: Spec,
  { containers }: HostFacts,
  problems: Problems,
  together: readonly Spec[],
): void {
  const joinsOf = (name: string): readonly string[] => {
    const own = together.find((one) => one.name === name);
    return own === undefined
      ? (containers[name]?.joins ?? [])
      : joinedBy(own).map(({ container }) => container);
  };
  for (const { type, container } of joinedBy(spec)) {
    const way = findWayTo(spec.name, container, joinsOf);
    if (way === undefined) continue;
    const links = way.map((name, index) => `${name} joins ${way[index + 1] ?? spec.name}`);
    problems.error(
      'join-circle',
      ['namespaces', type],
      `${spec.name} and ${container} join each other in a circle: ${links.join(', ')}`,
      `write private, or apply ${way.at(-1) ?? container} in the same call without that`,
    );
  }
}

// Refuses to give up a network namespace that other containers are in: they would lose the network, and the namespace
// would live on without a name.
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import type { Problems } from './problems.ts';

/**
 * Sharers in the same call count too: if one of them failed, it could not go back to the namespace that it left.
 * @param ownsNetwork whether the spec has a network namespace of its own.
 */
export function checkSharers(
  spec: Spec,
  { containers }: HostFacts,
  ownsNetwork: boolean,
  problems: Problems,
): void {
  if (ownsNetwork || containers[spec.name]?.ownsNetwork !== true) return;
  const sharers = sharersOf(spec.name, containers);
  if (sharers.length === 0) return;
  const names = sharers.join(', ');
  problems.error(
    'network-in-use',
    ['namespaces', 'network'],
    `${spec.name} would give up its network namespace, which ${names} ${sharers.length === 1 ? 'joins' : 'join'}`,
    `take down first: runspec down ${sharers.join(' ')}`,
  );
}

/** Names of all containers in the owner's network namespace, whether they joined it directly or through others. */
function sharersOf(owner: string, containers: HostFacts['containers']): readonly string[] {
  const found = new Set([owner]);
  for (const _ of Object.keys(containers)) {
    for (const [name, { joinsNetworkOf = [] }] of Object.entries(containers))
      if (joinsNetworkOf.some((one) => found.has(one))) found.add(name);
  }
  found.delete(owner);
  return [...found];
}

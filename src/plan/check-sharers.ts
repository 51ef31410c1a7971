// A network namespace with other containers in it: they would lose the network, and it would live on without a name.
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import type { Problems } from './problems.ts';

/** @param together all specs of the call: a container among them is started anew where its network goes. */
export function checkSharers(
  spec: Spec,
  { containers }: HostFacts,
  keepsNetwork: boolean,
  problems: Problems,
  together: readonly Spec[],
): void {
  if (keepsNetwork || containers[spec.name]?.ownsNetwork !== true) return;
  const sharers = sharersOf(spec.name, containers).filter(
    (name) => !together.some((other) => other.name === name),
  );
  if (sharers.length === 0) return;
  const names = sharers.join(', ');
  problems.error(
    'network-in-use',
    ['namespaces', 'network'],
    `${spec.name} would give up its network namespace, which ${names} ${sharers.length === 1 ? 'is' : 'are'} in`,
    `apply ${spec.name} and ${names} in one call, or take down first: ${names}`,
  );
}

/** All that are in its network namespace, be it through others. */
function sharersOf(owner: string, containers: HostFacts['containers']): readonly string[] {
  const found = new Set([owner]);
  for (const _ of Object.keys(containers)) {
    for (const [name, { joinsNetworkOf = [] }] of Object.entries(containers))
      if (joinsNetworkOf.some((one) => found.has(one))) found.add(name);
  }
  found.delete(owner);
  return [...found];
}

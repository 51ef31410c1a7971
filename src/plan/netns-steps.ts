// Steps of the container's own network namespace; network.ts adds the links in it.
import type { Spec } from '../load/spec.ts';
import { NETNS_FOLDER, netnsOf } from '../names.ts';
import type { Step } from './plan.ts';

export function netnsSteps(spec: Spec): readonly Step[] {
  const folder = `mount:${NETNS_FOLDER}`;
  const name = netnsOf(spec.name);
  const sysctls = Object.keys(spec.sysctls)
    .filter((key) => key.startsWith('net.'))
    .toSorted();
  return [
    { id: folder, op: 'netns-folder', needs: [], after: [], shared: true },
    {
      id: `netns:${name}`,
      op: 'netns',
      name,
      ...(sysctls.length === 0 ? {} : { sysctls }),
      needs: [folder],
      after: [],
    },
  ];
}

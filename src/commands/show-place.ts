// Where a container is reached, in words: its addresses and published ports, as ps and apply show them.
import { bracketed } from '../load/ports.ts';
import type { Lease, Plan } from '../plan/plan.ts';

/** IPv4 first; none without a network of its own. */
export function showAddresses(lease: Lease | undefined): readonly string[] {
  return [lease?.address, lease?.address6].filter((one) => one !== undefined);
}

/** As in `0.0.0.0:8080->80/tcp`. A port of all addresses is one of each family that the container has. */
export function showPorts({ ports, lease }: Pick<Plan, 'ports' | 'lease'>): readonly string[] {
  const all = lease?.address6 === undefined ? ['0.0.0.0'] : ['0.0.0.0', '::'];
  return ports.flatMap(({ hostIP, hostPort, containerPort, protocol }) =>
    (hostIP === undefined ? all : [hostIP]).map(
      (address) => `${bracketed(address)}:${hostPort}->${containerPort}/${protocol}`,
    ),
  );
}

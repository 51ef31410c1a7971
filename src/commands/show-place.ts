// Addresses and published ports of a container in words, as ps and apply show them.
import { bracketed } from '../load/ports.ts';
import type { Lease, Plan } from '../plan/plan.ts';

/** Addresses of a container, IPv4 first; none without a network of its own. */
export function showAddresses(lease: Lease | undefined): readonly string[] {
  return [lease?.address, lease?.address6].filter((one) => one !== undefined);
}

/** Published ports as in `0.0.0.0:8080->80/tcp`; one on all addresses is shown for each family of the container. */
export function showPorts({ ports, lease }: Pick<Plan, 'ports' | 'lease'>): readonly string[] {
  const all = lease?.address6 === undefined ? ['0.0.0.0'] : ['0.0.0.0', '::'];
  return ports.flatMap(({ hostIP, hostPort, containerPort, protocol }) =>
    (hostIP === undefined ? all : [hostIP]).map(
      (address) => `${bracketed(address)}:${hostPort}->${containerPort}/${protocol}`,
    ),
  );
}

// The part of doctor about foreign firewalls: which of their rules stop packets of the containers that are up, or, when
// none is up, of a typical one.
import { createKernelView } from '../host/kernel-view.ts';
import { readNetwork } from '../host/network-facts.ts';
import { findObstacles } from '../plan/check-firewall.ts';
import type { NetworkFacts } from '../plan/facts.ts';
import type { Endpoint } from '../plan/packet-ways.ts';
import { readBootId } from '../runtime/proc.ts';
import { createRecords } from '../run/records.ts';
import type { CommandContext } from './context.ts';
import type { Finding } from './doctor.ts';

export async function firewallFindings(context: CommandContext): Promise<readonly Finding[]> {
  const { host } = context;
  if (!context.isRoot || (await host.which('nft')) === undefined) return [];
  const view = createKernelView(host);
  const network = await readNetwork(host, view, { firewall: true, docker: () => view.hasDocker('thorough') });
  const found = [
    ...(network.unreadable ?? []).map((reason) => warning(`cannot be read: ${reason}`)),
    ...(await readEndpoints(context, network)).flatMap(([whose, endpoint]) =>
      findObstacles(endpoint, network).map(({ message, hint }) => warning(`${whose}: ${message}`, hint)),
    ),
  ];
  if (found.length > 0) return found;
  const detail =
    network.dockerUser === true
      ? 'Docker drops forwarded packets; a rule in its chain DOCKER-USER lets our networks pass'
      : 'nothing drops packets of containers';
  return [{ check: 'firewall', result: 'ok', detail }];
}

function warning(detail: string, hint?: string): Finding {
  return { check: 'firewall', result: 'warning', detail, ...(hint === undefined ? {} : { hint }) };
}

async function readEndpoints(
  { host, dataDir }: CommandContext,
  network: NetworkFacts,
): Promise<readonly (readonly [string, Endpoint])[]> {
  const bootId = await readBootId(host);
  const records = createRecords(host, dataDir, bootId);
  const found = await Promise.all(
    (await records.names()).map(async (name): Promise<readonly (readonly [string, Endpoint])[]> => {
      const { record } = await records.look(name);
      const plan = record?.applied;
      if (plan?.lease === undefined || record?.bootId !== bootId) return [];
      const nat = plan.steps.some((step) => step.op === 'nft-element' && step.set === 'sources');
      const dockerUser = plan.steps.find((step) => step.op === 'docker-user');
      const own = { ...plan.lease, nat, ports: plan.ports };
      return [[name, dockerUser === undefined ? own : { ...own, dockerUser }]];
    }),
  );
  const up = found.flat();
  return up.length > 0 ? up : [['a container with port 8080:80', imagine(network)]];
}

/** A typical container, with the addresses that the first container gets. */
function imagine({ ipv6, dockerUser }: NetworkFacts): Endpoint {
  const link = 'runspec0';
  return {
    link,
    address: '10.209.0.2',
    ...(ipv6 === 'used' ? { address6: 'fd72:756e:7370::2' } : {}),
    nat: true,
    ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    ...(dockerUser === true ? { dockerUser: { link } } : {}),
  };
}

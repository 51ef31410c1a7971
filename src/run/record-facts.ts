// A container as the plans of others see it, by its record.
import type { ContainerFacts } from '../plan/facts.ts';
import { etcFilesOf } from '../plan/etc-files.ts';
import type { Step } from '../plan/plan.ts';
import { recordedSteps, type ContainerRecord } from './records.ts';

/** What others of the host have to reckon with: ports, addresses, namespaces. Of a former boot the kernel has nothing. */
export function factsOfRecord(record: ContainerRecord, bootId: string): ContainerFacts {
  const plan = record.pending ?? record.applied;
  const [etc, veth] = [etcFilesOf(plan?.steps ?? []), plan?.steps.find((step) => step.op === 'veth')];
  // A reboot took the published ports: whoever listens on one since has it.
  const ports = record.bootId === bootId ? (plan?.ports ?? []) : [];
  return {
    ports,
    ...(plan?.lease === undefined ? {} : { lease: plan.lease }),
    ...(etc === undefined ? {} : { etc }),
    ...(veth === undefined ? {} : { mac: veth.mac }),
    ...(record.bootId === bootId ? { ...factsOfSteps(recordedSteps(record)), ...lentBy(record) } : {}),
  };
}

function lentBy(record: ContainerRecord): Pick<ContainerFacts, 'lent'> {
  const lent = recordedSteps(record).flatMap((step) => {
    const before = step.op === 'bridge' ? record.before[step.id] : undefined;
    if (step.op !== 'bridge' || before?.['existed'] !== true || before['addresses'] === undefined) return [];
    const known = String(before['addresses']).split(', ');
    return [step.address, step.address6 ?? step.address].filter((one) => !known.includes(one));
  });
  return lent.length === 0 ? {} : { lent };
}

function factsOfSteps(
  steps: readonly Step[],
): Pick<ContainerFacts, 'ownsNetwork' | 'joins' | 'joinsNetworkOf' | 'joinsPidOf' | 'passesDocker'> {
  const all = steps.flatMap((step) => (step.op === 'bundle' ? step.join : []));
  const joined = (wanted?: string): readonly string[] => [
    ...new Set(all.flatMap(({ type, container }) => (type === (wanted ?? type) ? [container] : []))),
  ];
  const [joins, network, pid] = [joined(), joined('network'), joined('pid')];
  return {
    ...(steps.some(({ op }) => op === 'netns') ? { ownsNetwork: true } : {}),
    ...(steps.some(({ op }) => op === 'docker-user') ? { passesDocker: true } : {}),
    ...(joins.length === 0 ? {} : { joins }),
    ...(network.length === 0 ? {} : { joinsNetworkOf: network }),
    ...(pid.length === 0 ? {} : { joinsPidOf: pid }),
  };
}

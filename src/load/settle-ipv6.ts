// Room for IPv6 in a spec. An mtu or a sysctl that leaves none counts as `ipv6: false`, and is an error beside a key
// that asks for IPv6.
import type { SpecPath } from '../errors.ts';
import { IPV6_MIN_MTU } from './ipv6.ts';
import type { Scope } from './scope.ts';
import type { NetworkSpec } from './spec.ts';

/** @param sysctls as they are set in the network namespace once it has its interface. */
export function settleIpv6(
  network: NetworkSpec,
  sysctls: Readonly<Record<string, string>>,
  scope: Scope,
): NetworkSpec {
  const obstacle =
    network.mode === 'bridge' || network.mode === 'veth' ? findObstacle(network, sysctls) : undefined;
  if (obstacle === undefined) return network;
  const key = (['subnet6', 'address6', 'gateway6'] as const).find((one) => network[one] !== undefined);
  const asked = key ?? (network.ipv6 === true ? 'ipv6' : undefined);
  if (asked !== undefined) {
    scope.report({
      code: 'conflict',
      message: `${obstacle.what}, but network.${asked} asks for it`,
      hint: `${obstacle.remedy}, or remove ${asked}`,
      path: obstacle.path,
    });
  }
  return { ...network, ipv6: false };
}

interface Obstacle {
  readonly what: string;
  readonly remedy: string;
  readonly path: SpecPath;
}

function findObstacle(
  { mtu, interface: name }: NetworkSpec,
  sysctls: Readonly<Record<string, string>>,
): Obstacle | undefined {
  if (mtu !== undefined && mtu < IPV6_MIN_MTU) {
    const what = `network.mtu ${mtu} leaves no room for IPv6`;
    return { what, remedy: `set it to ${IPV6_MIN_MTU} or more`, path: ['network', 'mtu'] };
  }
  // The sysctl of `default` counts, because a new interface obeys it.
  const sysctl = ['all', 'default', name]
    .map((one) => `net.ipv6.conf.${one}.disable_ipv6`)
    .find((one) => Number(sysctls[one] ?? 0) !== 0);
  return sysctl === undefined
    ? undefined
    : { what: `sysctl ${sysctl} takes IPv6 away`, remedy: 'set it to 0', path: ['sysctls', sysctl] };
}

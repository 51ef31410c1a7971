// The IPv6 half of `network`: networks and addresses in canonical spelling that fit together.
import type { Network } from './generated/spec-document.ts';
import { contains6, formatBlock6, formatIpv6, parseAddress6, parseCidr6, type Block6 } from './ipv6.ts';
import { accept, defined, type Scope } from './scope.ts';
import type { NetworkSpec } from './spec.ts';

const KEYS = ['subnet6', 'address6', 'gateway6'] as const;

export function normalizeIpv6(
  network: Network,
  scope: Scope,
): Pick<NetworkSpec, 'ipv6' | 'subnet6' | 'address6' | 'gateway6'> {
  const asked = KEYS.find((key) => network[key] !== undefined);
  if (network.ipv6 === false && asked !== undefined) {
    scope.report({
      code: 'conflict',
      message: `network.ipv6 is false, but network.${asked} is set`,
      hint: `remove ${asked}, or ipv6`,
      path: ['network', asked],
      atKey: true,
    });
  }
  const subnet =
    network.subnet6 === undefined
      ? undefined
      : accept(scope, 'cidr6', parseCidr6(network.subnet6), ['network', 'subnet6'], network.subnet6);
  const address = normalizeAddress(network.address6, 'address6', subnet, scope);
  const gateway = normalizeAddress(network.gateway6, 'gateway6', subnet, scope);
  if (address !== undefined && address === gateway) {
    scope.report({
      code: 'address-conflict',
      message: `network.gateway6 ${formatIpv6(address)} is the container's own address`,
      hint: "the gateway is the host's end: choose another address of the subnet",
      path: ['network', 'gateway6'],
    });
  }
  const text = (value: bigint | undefined): string | undefined =>
    value === undefined ? undefined : formatIpv6(value);
  return defined({
    ipv6: network.ipv6,
    subnet6: subnet && formatBlock6(subnet),
    address6: text(address),
    gateway6: text(gateway),
  });
}

function normalizeAddress(
  input: string | undefined,
  key: 'address6' | 'gateway6',
  subnet: Block6 | undefined,
  scope: Scope,
): bigint | undefined {
  if (input === undefined) return undefined;
  const path = ['network', key];
  const address = accept(scope, 'ipv6', parseAddress6(input), path, input);
  if (address === undefined || subnet === undefined) return address;
  const hint = `the subnet begins with ${formatIpv6(subnet.network + 1n)}`;
  if (!contains6(subnet, address)) {
    scope.report({
      code: 'address-outside-subnet',
      message: `network.${key} ${input} is outside the subnet ${formatBlock6(subnet)}`,
      hint,
      path,
    });
  } else if (address === subnet.network) {
    scope.report({
      code: 'address-conflict',
      message: `network.${key} ${input} is the address of all routers of ${formatBlock6(subnet)}`,
      hint,
      path,
    });
  }
  return address;
}

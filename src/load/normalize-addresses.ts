// Subnet, address and gateway of `network` in both families: in canonical spelling, and such that they fit together.
import {
  broadcastOf,
  contains,
  formatIpv4,
  formatSubnet,
  parseCidr,
  parseIpv4,
  type Subnet,
} from './addresses.ts';
import type { Parsed } from './describe.ts';
import type { Network } from './generated/spec-document.ts';
import { contains6, formatBlock6, formatIpv6, parseAddress6, parseCidr6, type Block6 } from './ipv6.ts';
import { accept, defined, type Scope } from './scope.ts';
import type { NetworkSpec } from './spec.ts';

/** Differences between the two families. */
interface Family<Address, Block> {
  /** Suffix of the keys of `network`. */
  readonly suffix: '' | '6';
  /** Names in `formats` of a subnet and of an address. */
  readonly formats: readonly [string, string];
  readonly parseSubnet: (input: string) => Parsed<Block>;
  readonly parseAddress: (input: string) => Parsed<Address>;
  readonly showSubnet: (subnet: Block) => string;
  readonly showAddress: (address: Address) => string;
  readonly contains: (subnet: Block, address: Address) => boolean;
  /** Role of an address that no host of the subnet can have, as in `broadcast address`. */
  readonly roleOf: (subnet: Block, address: Address) => string | undefined;
  /** Hint that says which addresses hosts of the subnet can have. */
  readonly hint: (subnet: Block) => string;
}

const IPV4: Family<number, Subnet> = {
  suffix: '',
  formats: ['cidr', 'ipv4'],
  parseSubnet: parseCidr,
  parseAddress: parseIpv4,
  showSubnet: formatSubnet,
  showAddress: formatIpv4,
  contains,
  roleOf: (subnet, address) =>
    address === subnet.network
      ? 'network address'
      : address === broadcastOf(subnet)
        ? 'broadcast address'
        : undefined,
  hint: (subnet) =>
    `the subnet has the addresses ${formatIpv4(subnet.network + 1)} to ${formatIpv4(broadcastOf(subnet) - 1)}`,
};

const IPV6: Family<bigint, Block6> = {
  suffix: '6',
  formats: ['cidr6', 'ipv6'],
  parseSubnet: parseCidr6,
  parseAddress: parseAddress6,
  showSubnet: formatBlock6,
  showAddress: formatIpv6,
  contains: contains6,
  // RFC 4291, 2.6.1: the subnet-router anycast address.
  roleOf: (subnet, address) => (address === subnet.network ? 'address of all routers' : undefined),
  hint: (subnet) => `the subnet begins with ${formatIpv6(subnet.network + 1n)}`,
};

type Addresses = Pick<
  NetworkSpec,
  'subnet' | 'address' | 'gateway' | 'ipv6' | 'subnet6' | 'address6' | 'gateway6'
>;

export function normalizeAddresses(network: Network, scope: Scope): Addresses {
  const asked = (['subnet6', 'address6', 'gateway6'] as const).find((key) => network[key] !== undefined);
  if (network.ipv6 === false && asked !== undefined) {
    scope.report({
      code: 'conflict',
      message: `network.ipv6 is false, but network.${asked} is set`,
      hint: `remove ${asked}, or ipv6`,
      path: ['network', asked],
      atKey: true,
    });
  }
  const { subnet: subnet6, address: address6, gateway: gateway6 } = normalizeFamily(network, IPV6, scope);
  return {
    ...normalizeFamily(network, IPV4, scope),
    ...defined({ ipv6: network.ipv6, subnet6, address6, gateway6 }),
  };
}

function normalizeFamily<Address, Block>(
  network: Network,
  family: Family<Address, Block>,
  scope: Scope,
): Pick<NetworkSpec, 'subnet' | 'address' | 'gateway'> {
  const read = <T>(
    name: 'subnet' | 'address' | 'gateway',
    format: string,
    parse: (input: string) => Parsed<T>,
  ): T | undefined => {
    const key = `${name}${family.suffix}` as const;
    const input = network[key];
    return input === undefined ? undefined : accept(scope, format, parse(input), ['network', key], input);
  };
  const [subnetFormat, addressFormat] = family.formats;
  const subnet = read('subnet', subnetFormat, family.parseSubnet);
  const address = read('address', addressFormat, family.parseAddress);
  const gateway = read('gateway', addressFormat, family.parseAddress);
  if (subnet !== undefined) {
    checkWithin(network, 'address', address, subnet, family, scope);
    checkWithin(network, 'gateway', gateway, subnet, family, scope);
  }
  if (address !== undefined && address === gateway) {
    const key = `gateway${family.suffix}`;
    scope.report({
      code: 'address-conflict',
      message: `network.${key} ${family.showAddress(address)} is the container's own address`,
      hint: "the gateway is the host's end: choose another address of the subnet",
      path: ['network', key],
    });
  }
  const show = (value: Address | undefined): string | undefined =>
    value === undefined ? undefined : family.showAddress(value);
  return defined({
    subnet: subnet === undefined ? undefined : family.showSubnet(subnet),
    address: show(address),
    gateway: show(gateway),
  });
}

function checkWithin<Address, Block>(
  network: Network,
  name: 'address' | 'gateway',
  address: Address | undefined,
  subnet: Block,
  family: Family<Address, Block>,
  scope: Scope,
): void {
  if (address === undefined) return;
  const key = `${name}${family.suffix}` as const;
  const role = family.roleOf(subnet, address);
  const isOutside = !family.contains(subnet, address);
  if (!isOutside && role === undefined) return;
  const what = isOutside ? 'outside the subnet' : `the ${role} of`;
  scope.report({
    code: isOutside ? 'address-outside-subnet' : 'address-conflict',
    message: `network.${key} ${network[key]} is ${what} ${family.showSubnet(subnet)}`,
    hint: family.hint(subnet),
    path: ['network', key],
  });
}

// A link of a fake machine, and how it is shown.
import { isIpv6 } from './ip-words.ts';

export interface FakeLink {
  name: string;
  readonly kind: string | undefined;
  alias: string | undefined;
  mtu: number;
  mac: string;
  /** Somebody has set it: a bridge does not take another one from its ports. */
  isMacSet: boolean;
  group: string;
  up: boolean;
  master: string | undefined;
  hairpin: boolean;
  /** Of a bridge port: somebody has disabled it. */
  isDisabled: boolean;
  addresses: string[];
  /** disable_ipv6. */
  isIpv6Off: boolean;
  /** Subnets of its addresses whose connected routes somebody has taken away. */
  lostRoutes: readonly string[];
  /** The other end of a veth pair. */
  peer: { readonly netns: string; name: string } | undefined;
}

/** As `ip -json -details address show` does. */
export function showLink(one: FakeLink): object {
  return {
    ifname: one.name,
    ifalias: one.alias,
    mtu: one.mtu,
    address: one.mac,
    flags: one.up ? ['UP'] : [],
    master: one.master,
    linkinfo:
      one.kind === undefined
        ? undefined
        : {
            info_kind: one.kind,
            info_slave_data: { hairpin: one.hairpin, state: one.isDisabled ? 'disabled' : 'forwarding' },
          },
    addr_info: one.addresses.map((address) => {
      const [local, prefix] = address.split('/');
      return { family: isIpv6(address) ? 'inet6' : 'inet', local, prefixlen: Number(prefix) };
    }),
  };
}

/** Of two machines, to be compared: the kernel may give link-local addresses sooner or later than others. */
export function dumpLink(link: FakeLink): string {
  const addresses = link.addresses.toSorted((a, b) => Number(isLinkLocal(b)) - Number(isLinkLocal(a)));
  const mac = link.kind === 'bridge' ? link.mac : undefined;
  return JSON.stringify({ ...link, addresses, mac, isMacSet: undefined, group: undefined });
}

export function isLinkLocal(address: string): boolean {
  return address.startsWith('fe80:');
}

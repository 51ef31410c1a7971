// A link of a fake machine as `ip -json -details address show` shows it.
import { isIpv6 } from './ip-words.ts';
import type { FakeLink } from './network.ts';

export function showLink(one: FakeLink): object {
  return {
    ifname: one.name,
    ifalias: one.alias,
    mtu: one.mtu,
    address: one.mac,
    flags: one.up ? ['UP'] : [],
    master: one.master,
    linkinfo:
      one.kind === undefined ? undefined : { info_kind: one.kind, info_slave_data: { hairpin: one.hairpin } },
    addr_info: one.addresses.map((address) => {
      const [local, prefix] = address.split('/');
      return { family: isIpv6(address) ? 'inet6' : 'inet', local, prefixlen: Number(prefix) };
    }),
  };
}

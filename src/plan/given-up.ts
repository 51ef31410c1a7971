// Addresses that pass from one container to another within one call.
import { macNamedBy } from '../load/addresses.ts';
import type { Spec } from '../load/spec.ts';

/**
 * Whether a container gives its address up in this call: by its spec it gets another address, or none.
 *
 * @param together all specs of the call. Containers outside it, and those that take what is free, count as keeping
 * their address.
 */
export function givesUp(
  container: string | undefined,
  key: 'address' | 'address6' | 'mac',
  address: string,
  together: readonly Spec[],
): boolean {
  const spec = together.find(({ name }) => name === container);
  if (spec === undefined) return false;
  const { network, namespaces } = spec;
  const isNetworked =
    namespaces.network.mode === 'private' && (network.mode === 'bridge' || network.mode === 'veth');
  const wanted = key === 'mac' ? macNamedBy(spec) : network[key];
  return !isNetworked || (wanted !== undefined && wanted !== address);
}

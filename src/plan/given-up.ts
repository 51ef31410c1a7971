// Addresses that change hands within one call.
import type { Spec } from '../load/spec.ts';

/**
 * Whether a container has the address until now only: by its spec, it is to have another one or none.
 *
 * @param together all specs of the call. Of others, and of those that take what is free, nothing says that they let go of it.
 */
export function givesUp(
  container: string | undefined,
  key: 'address' | 'address6',
  address: string,
  together: readonly Spec[],
): boolean {
  const spec = together.find(({ name }) => name === container);
  if (spec === undefined) return false;
  const { network, namespaces } = spec;
  const isNetworked =
    namespaces.network.mode === 'private' && (network.mode === 'bridge' || network.mode === 'veth');
  return !isNetworked || (network[key] !== undefined && network[key] !== address);
}

// Maps whose keys are the user's own, such as env and dns.hosts. Pure.

/**
 * Sorts the keys: their order in a document means nothing, but in a plan it would be another env, hosts file or layer.
 */
export function sortKeys<T>(entries: readonly (readonly [string, T])[]): Readonly<Record<string, T>> {
  return Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

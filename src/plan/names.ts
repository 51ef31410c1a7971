// Names of things on the host that others than the plan look for. Pure.

/** Of a container's network namespace below /run/netns. */
export function netnsOf(name: string): string {
  return `runspec-${name}`;
}

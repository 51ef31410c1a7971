// Containers whose namespaces a spec joins. Each has to be up before the spec's own.
import type { NamespaceType, Spec } from './spec.ts';

export interface Joined {
  readonly type: NamespaceType;
  readonly container: string;
}

export function joinedBy({ namespaces }: Spec): readonly Joined[] {
  return Object.entries(namespaces).flatMap(([type, one]) =>
    one.mode === 'container' ? [{ type: type as NamespaceType, container: one.container }] : [],
  );
}

/**
 * Containers from `start` on, each of which joins the next one, and the last one `name`; undefined when no way leads
 * there.
 */
export function findWayTo(
  name: string,
  start: string,
  joinsOf: (container: string) => readonly string[],
): readonly string[] | undefined {
  const seen = new Set<string>();
  const follow = (container: string): readonly string[] | undefined => {
    if (seen.has(container)) return undefined;
    seen.add(container);
    const next = joinsOf(container);
    if (next.includes(name)) return [container];
    for (const other of next) {
      const way = follow(other);
      if (way !== undefined) return [container, ...way];
    }
    return undefined;
  };
  return follow(start);
}

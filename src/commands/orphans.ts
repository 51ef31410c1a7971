// Containers that are up although their spec was renamed or removed: the file that they were applied from, or the
// folder that it was in, does not have it any more. They are reported, and stay.
import { posix } from 'node:path';
import { printable } from '../load/render-diagnostic.ts';
import type { HostFacts } from '../plan/facts.ts';
import type { CommandContext } from './context.ts';
import type { LoadedSpecs } from './load-specs.ts';

export interface Orphan {
  readonly container: string;
  /** Absolute path. */
  readonly spec: string;
}

export async function findOrphans(
  { host }: Pick<CommandContext, 'host'>,
  { containers }: Pick<HostFacts, 'containers'>,
  { names, places }: Pick<LoadedSpecs, 'names' | 'places'>,
): Promise<readonly Orphan[]> {
  const found = Object.entries(containers).map(async ([container, { specFile: spec }]) => {
    // A later pipe has the same path with another text.
    if (spec === undefined || names.has(container) || /^\/(?:dev|proc)\//.test(spec)) return [];
    // A folder stands for some of its files only: the file itself must be gone.
    const isGone = async (): Promise<boolean> => (await host.realPath(spec)) === undefined;
    const isOrphan = places.has(spec) || (places.has(posix.dirname(spec)) && (await isGone()));
    return isOrphan ? [{ container, spec }] : [];
  });
  return (await Promise.all(found)).flat();
}

export function tellOrphans({ quiet, stderr }: CommandContext, orphans: readonly Orphan[]): void {
  if (quiet) return;
  for (const { container, spec } of orphans)
    stderr(
      `${container} is up, and ${printable(spec)} has no spec of it any more: runspec down ${container}`,
    );
}

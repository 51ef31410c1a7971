// Paths that mount(8) cannot hand to overlayfs: a double quote begins a quoted text for it, up to the next one, and
// nothing takes its meaning away.
import type { Spec } from '../load/spec.ts';
import type { HostFacts } from './facts.ts';
import type { Problems } from './problems.ts';

export function checkQuotes(spec: Spec, facts: HostFacts, problems: Problems): void {
  const refuse = (key: readonly string[], path: string, hint: string): void =>
    problems.error(
      'odd-quotes',
      key,
      `${path} has an odd number of double quotes, and cannot be mounted as part of a root file system`,
      hint,
    );
  // A folder that is used where it lies; all else is in the data folder.
  const folder = facts.layers[spec.name]?.find(({ recipe }) => recipe === undefined)?.path;
  if (folder !== undefined && hasOddQuotes(folder))
    refuse(['rootfs', 'directory'], folder, 'rename it, or bind it to a path without them: mount --bind');
  if (hasOddQuotes(facts.dataDir))
    refuse(
      ['rootfs'],
      `the data folder ${facts.dataDir}`,
      'choose another one with --data-dir or RUNSPEC_DATA_DIR',
    );
}

function hasOddQuotes(path: string): boolean {
  return path.split('"').length % 2 === 0;
}

// Refuses paths that mount(8) cannot pass to overlayfs: in its options a double quote begins a quoted text that ends at
// the next one, and cannot be escaped.
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
  // The rootfs folder that is used where it lies; all other layers are in the data folder.
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

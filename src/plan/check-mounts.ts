// Mounts that cannot be made whatever the root file system is: nothing to bind, and files where folders are needed.
import type { MountSpec, Spec } from '../load/spec.ts';
import { RUNTIME_FOLDERS } from '../oci/mounts.ts';
import { isAtOrBelow } from '../oci/paths.ts';
import type { HostFacts } from './facts.ts';
import type { Problems } from './problems.ts';

export function checkMounts({ mounts }: Spec, { paths }: HostFacts, problems: Problems): void {
  mounts.forEach((mount, index) => {
    if (mount.type === 'bind' && (paths[mount.source] ?? null) === null) {
      problems.error(
        'no-source',
        ['mounts', index],
        `the bind source ${mount.source} does not exist`,
        'make it first: runspec never makes folders outside its own',
      );
    }
    const { destination } = mount;
    if (isFile(mount, paths) && RUNTIME_FOLDERS.includes(destination)) {
      problems.error(
        'file-over-folder',
        ['mounts', index],
        `the bind source ${mount.source} is no folder, and ${destination} has to be one`,
        'mount a folder there, or the file on a path below it',
      );
    }
    const outer = mounts.find(
      (other) =>
        other.destination !== destination &&
        isFile(other, paths) &&
        isAtOrBelow(destination, other.destination),
    );
    if (outer !== undefined) {
      problems.error(
        'file-over-folder',
        ['mounts', index],
        `${destination} lies in ${outer.destination}, where another mount puts what is no folder`,
        'mount it somewhere else',
      );
    }
  });
}

/** Whether the mount binds a file, a socket or a device: nothing else can be mounted below it. */
function isFile(mount: MountSpec, paths: HostFacts['paths']): mount is MountSpec & { source: string } {
  if (mount.type !== 'bind') return false;
  const type = paths[mount.source]?.type;
  return type !== undefined && type !== 'directory';
}

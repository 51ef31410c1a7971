// The one thing of the machine that the benchmark shares: cgroups, found by its own names, and removed at the end.
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';
/** Below it Podman makes its cgroups; runspec's are `/runspec/NAME`, and every name begins with PREFIX. */
export const PODMAN_PARENT = '/runspec-bench-podman';
export const PREFIX = 'bench-';

/** Folders that runspec or Podman has made for the benchmark, deepest last. */
export function listCgroups() {
  const hierarchies = [MOUNT, ...folders(MOUNT).map((name) => join(MOUNT, name))];
  return hierarchies.flatMap((hierarchy) => {
    const runspec = join(hierarchy, 'runspec');
    const own = folders(runspec).filter((name) => name.startsWith(PREFIX));
    const podman = join(hierarchy, PODMAN_PARENT);
    return [...own.map((name) => join(runspec, name)), ...(existsSync(podman) ? [podman] : [])].flatMap(
      withBelow,
    );
  });
}

/** Once every process of the host has ended. */
export function removeCgroups() {
  for (const folder of listCgroups().toReversed()) rmdirSync(folder);
}

function withBelow(folder) {
  return [folder, ...folders(folder).flatMap((name) => withBelow(join(folder, name)))];
}

function folders(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
}

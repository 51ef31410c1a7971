// Look-up of a path in the mount table, as the kernel walks it: a mount over a folder on the way hides every mount
// below that folder, though the table still lists them. Pure.
import type { MountState } from './kernel-view.ts';

/** The mount that a look-up of `path` ends in, whether or not `path` is itself a mount point. */
export function lookUpMount(mounts: readonly MountState[], path: string): MountState | undefined {
  const onTheWay = mounts.filter(({ target }) => isAtOrBelow(path, target));
  const known = new Set(mounts.map((mount) => mount.id));
  let current = onTheWay.find((mount) => !known.has(mount.parent) || mount.parent === mount.id);
  for (const point of prefixesOf(path)) {
    // Several mounts at one place: each is mounted on the one before.
    for (;;) {
      const next = onTheWay.find(
        (mount) => mount !== current && mount.target === point && mount.parent === current?.id,
      );
      if (next === undefined) break;
      current = next;
    }
  }
  return current;
}

/** The mount that a look-up of `path` ends in, when `path` is a mount point at all. */
export function topMount(mounts: readonly MountState[], path: string): MountState | undefined {
  const found = lookUpMount(mounts, path);
  return found?.target === path ? found : undefined;
}

function prefixesOf(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return ['/', ...parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)];
}

function isAtOrBelow(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

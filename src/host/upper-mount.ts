// File systems on which overlayfs keeps a writable layer. An overlay, as the disk of most containers is, network file
// systems, FUSE and those of Windows are unfit: they lack whiteouts, trusted.* attributes or d_type
// (Documentation/filesystems/overlayfs.rst).
import type { Host } from './host.ts';
import { readMounts, type MountState } from './kernel-view.ts';
import { lookUpMount } from './mount-lookup.ts';

const FIT = new Set(['bcachefs', 'btrfs', 'ext2', 'ext3', 'ext4', 'f2fs', 'tmpfs', 'xfs', 'zfs']);

export const FIT_HINT =
  'choose a --data-dir on a disk with ext4, xfs or btrfs, or on a tmpfs; inside another container, mount a volume for it';

/** The mount that `path` is on, when overlayfs is not known to keep a writable layer there. */
export async function findUnfitMount(host: Host, path: string): Promise<MountState | undefined> {
  const mount = lookUpMount(await readMounts(host), path);
  return mount === undefined || FIT.has(mount.type) ? undefined : mount;
}

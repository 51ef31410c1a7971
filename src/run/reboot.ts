// Steps whose objects survive a reboot: those on the disk. All others are in the kernel, which begins anew.
import type { OpKind, Step } from '../plan/plan.ts';

/** Kinds of steps that survive. The bundle is on disk too, but was made for a root that is mounted no more. */
const ON_DISK: ReadonlySet<OpKind> = new Set(['directory', 'file', 'layer', 'mountpoints']);

export function survivesReboot({ op }: Step): boolean {
  return ON_DISK.has(op);
}

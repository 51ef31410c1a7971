// What a reboot leaves: things on the disk. All else is the kernel's, which begins anew.
import type { OpKind, Step } from '../plan/plan.ts';

/** Not the bundle: it is made for a root that is mounted. */
const ON_DISK: ReadonlySet<OpKind> = new Set(['directory', 'file', 'layer', 'mountpoints']);

export function survivesReboot({ op }: Step): boolean {
  return ON_DISK.has(op);
}

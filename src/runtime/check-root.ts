// The check of a root before a runtime works in it. runc 1.1.5 makes /dev/ptmx and its like by path before it has
// entered the root: a symlink there would lead it to the host (CVE-2026-41579). An image cannot bring one, since the
// layer of mount points covers it; what a container wrote above that layer can.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';

const OWN_PLACES = ['dev', 'proc', 'sys'];

/** @throws OperationError naming the first place of the runtime's that is no folder. */
export async function checkRoot(host: Host, rootfs: string): Promise<void> {
  for (const place of OWN_PLACES) {
    const status = await host.status(`${rootfs}/${place}`);
    if (status === undefined || status.type === 'directory') continue;
    throw new OperationError(
      `/${place} in the writable layer is a ${status.type}, through which a mount could reach the host`,
      { hint: 'remove it, or give the layer up: runspec down, with --volumes when it is persistent' },
    );
  }
}

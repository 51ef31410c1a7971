// The check that the process can begin in its working folder. A folder in /proc is refused: /proc/self/fd/N is a
// descriptor that the runtime has open when it changes to the folder, and older runcs leave one of the host's open
// (CVE-2024-21626). The runtime makes a missing folder; where it cannot, it says so only when the former process has
// already ended.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { isAtOrBelow } from '../oci/paths.ts';
import { leadTo, lookUp, type RootView } from './root-view.ts';

/** @throws OperationError */
export async function checkCwd(
  host: Host,
  { root, binds }: RootView,
  cwd: string,
  isReadonly = false,
): Promise<void> {
  // Mounts without a source are left out, but for /proc: what is in them is unknown too, but harmless.
  const known = binds.filter(({ source }) => source !== undefined);
  const view: RootView = { root, binds: [...known, { destination: '/proc' }] };
  const found = await lookUp(host, view, cwd);
  if (isReadonly && found === 'missing') {
    const at = await leadTo(host, view, cwd);
    // In a mount, unlike in the read-only root, the runtime can make the folder.
    if (binds.some(({ destination }) => isAtOrBelow(at, destination))) return;
    throw new OperationError(`there is no folder ${cwd} in the root file system, which is read-only`, {
      path: ['process', 'cwd'],
      hint: 'make it in a layer, or choose another process.cwd',
    });
  }
  if (found !== 'unknown') return;
  throw new OperationError(`the working folder ${cwd} leads into /proc`, {
    path: ['process', 'cwd'],
    hint: 'choose another one; an image that asks for this one is not to be trusted',
  });
}

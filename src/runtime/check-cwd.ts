// Whether the process can begin in its working folder. One in /proc is refused: /proc/self/fd/N is a descriptor that the
// runtime itself has open when it changes to that folder, and older runcs leave one of the host's in it (CVE-2024-21626).
// One that is not there the runtime makes; where it cannot, it says so when the former process has ended already.
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
  // Of other places that the runtime mounts nothing is known either, and nothing is to be feared.
  const known = binds.filter(({ source }) => source !== undefined);
  const view: RootView = { root, binds: [...known, { destination: '/proc' }] };
  const found = await lookUp(host, view, cwd);
  if (isReadonly && found === 'missing') {
    const at = await leadTo(host, view, cwd);
    // In what is mounted it can be made.
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

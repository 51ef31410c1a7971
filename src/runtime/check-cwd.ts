// The check that the process can begin in its working folder. A folder in /proc is refused: /proc/self/fd/N is a
// descriptor that the runtime has open when it changes to the folder, and older runcs leave one of the host's open
// (CVE-2024-21626). The runtime makes a missing folder; where it cannot, it says so only when the former process has
// already ended.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { isAtOrBelow, normalizePath } from '../oci/paths.ts';
import { findObstacle, type Found, leadTo, lookUp, type RootView } from './root-view.ts';

/** @throws OperationError */
export async function checkCwd(host: Host, given: RootView, cwd: string, isReadonly = false): Promise<void> {
  // Of other places that the runtime mounts nothing is known either, and nothing is to be feared.
  const known = given.binds.filter(({ source }) => source !== undefined);
  const view: RootView = { ...given, binds: [...known, { destination: '/proc' }] };
  const obstacle = await findObstacle(host, given, cwd);
  if (obstacle !== undefined)
    throw new OperationError(`the working folder ${cwd} ${whyNoFolder(cwd, obstacle)}`, {
      path: ['process', 'cwd'],
      hint: 'name a folder of the container',
    });
  const found = await lookUp(host, view, cwd);
  if (isReadonly && found === 'missing') {
    const at = await leadTo(host, view, cwd);
    // In what is mounted it can be made.
    if (given.binds.some(({ destination }) => isAtOrBelow(at, destination))) return;
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

function whyNoFolder(cwd: string, { path, status }: Found): string {
  if (path === normalizePath(cwd)) return `is a ${status.type}, not a folder`;
  const how = isAtOrBelow(normalizePath(cwd), path) ? 'would lie in' : 'leads to';
  return `${how} ${path}, which is a ${status.type}`;
}

// Whether the working folder lies in /proc. There /proc/self/fd/N is a descriptor that the runtime itself has open
// when it changes to that folder: older runcs leave one of the host's in it (CVE-2024-21626).
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { lookUp, type RootView } from './root-view.ts';

/** @throws OperationError */
export async function checkCwd(host: Host, { root, binds }: RootView, cwd: string): Promise<void> {
  // Of other places that the runtime mounts nothing is known either, and nothing is to be feared.
  const known = binds.filter(({ source }) => source !== undefined);
  const found = await lookUp(host, { root, binds: [...known, { destination: '/proc' }] }, cwd);
  if (found !== 'unknown') return;
  throw new OperationError(`the working folder ${cwd} leads into /proc`, {
    path: ['process', 'cwd'],
    hint: 'choose another one; an image that asks for this one is not to be trusted',
  });
}

// The real path of a folder that need not exist yet. The kernel's mount table knows real paths only: below a
// symlink (/var/run) nothing that is mounted would be found again.
import { posix } from 'node:path';
import type { Host } from '../host/host.ts';

export async function resolvePlace(host: Pick<Host, 'realPath'>, path: string): Promise<string> {
  const real = await host.realPath(path);
  if (real !== undefined || path === '/') return real ?? path;
  return posix.join(await resolvePlace(host, posix.dirname(path)), posix.basename(path));
}

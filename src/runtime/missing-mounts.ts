// Mounts that the spec asks for and that are no longer in the container. Reads only. Its standard places
// (/proc, /dev…) are its own affair, and so are all of them where it may mount and unmount itself.
import type { Host } from '../host/host.ts';
import { readMounts } from '../host/kernel-view.ts';
import { orNothing } from '../host/proc-files.ts';
import { readConfig } from './read-config.ts';
import { lookUp, viewOfProcess } from './root-view.ts';

const STANDARD = new Set(['/dev', '/dev/shm']);

/** @returns destinations as in the spec. */
export async function findMissingMounts(host: Host, bundle: string, pid: number): Promise<readonly string[]> {
  const config = await readConfig(host, bundle);
  // The bundle's own step tells of that.
  if (config === undefined) return [];
  const { mounts, process } = config;
  if (process.capabilities.bounding.includes('CAP_SYS_ADMIN')) return [];
  const table = await orNothing(readMounts(host, `/proc/${pid}`));
  if (table === undefined || table.length === 0) return [];
  // A file that was deleted on the host lives on in the container, where no change of its successor arrives.
  const mounted = new Set(table.flatMap(({ target, root }) => (root.endsWith('//deleted') ? [] : [target])));
  const missing: string[] = [];
  for (const { destination, type } of mounts) {
    if ((type !== 'bind' && type !== 'tmpfs') || STANDARD.has(destination) || mounted.has(destination))
      continue;
    // By a symlink of the image it may lie elsewhere.
    const found = await lookUp(host, viewOfProcess(pid), destination);
    if (typeof found === 'string' || !mounted.has(found.path)) missing.push(destination);
  }
  return missing;
}

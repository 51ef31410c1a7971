// Mounts that the spec asks for and that are no longer in the container. Reads only. Its standard places
// (/proc, /dev…) are its own affair, and so are all of them where it may mount and unmount itself.
import type { Host } from '../host/host.ts';
import { readMounts, type MountState } from '../host/kernel-view.ts';
import { orNothing } from '../host/proc-files.ts';
import { readConfig } from './read-config.ts';
import { lookUp, viewOfProcess } from './root-view.ts';

const STANDARD = new Set(['/dev', '/dev/shm']);

export interface MissingMount {
  /** As in the spec. */
  readonly destination: string;
  /** Something is mounted there that has no name on the host any more, as after `mv new file`. */
  readonly isFormer: boolean;
}

export async function findMissingMounts(
  host: Host,
  bundle: string,
  pid: number,
): Promise<readonly MissingMount[]> {
  const config = await readConfig(host, bundle);
  // The bundle's own step tells of that.
  if (config === undefined) return [];
  const { mounts, process } = config;
  if (process.capabilities.bounding.includes('CAP_SYS_ADMIN')) return [];
  const table = await orNothing(readMounts(host, `/proc/${pid}`));
  if (table === undefined || table.length === 0) return [];
  // A file that was deleted on the host lives on in the container, where no change of its successor arrives.
  const isFormer = ({ root }: MountState): boolean => root.endsWith('//deleted');
  const mounted = new Set(table.flatMap((mount) => (isFormer(mount) ? [] : [mount.target])));
  const former = new Set(table.flatMap((mount) => (isFormer(mount) ? [mount.target] : [])));
  const missing: MissingMount[] = [];
  for (const { destination, type } of mounts) {
    if ((type !== 'bind' && type !== 'tmpfs') || STANDARD.has(destination) || mounted.has(destination))
      continue;
    // By a symlink of the image it may lie elsewhere.
    const found = await lookUp(host, viewOfProcess(pid), destination);
    const path = typeof found === 'string' ? destination : found.path;
    if (typeof found === 'string' || !mounted.has(path))
      missing.push({ destination, isFormer: former.has(path) });
  }
  return missing;
}

// Mounts that the spec asks for and that are no longer in the container, or of which it has what their source no longer is.
// Reads only. Its standard places (/proc, /dev…) are its own affair, and so are all of them where it may mount and
// unmount itself.
import type { FileStatus, Host } from '../host/host.ts';
import { readMounts, type MountState } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import { orNothing } from '../host/proc-files.ts';
import type { OciMount } from '../oci/runtime-spec.ts';
import { readConfig } from './read-config.ts';
import { lookUp, viewOfProcess } from './root-view.ts';

const STANDARD = new Set(['/dev', '/dev/shm']);

/**
 * `unmounted`: nothing is mounted there. Otherwise it is what the source was at the start of the process, and that is
 * `deleted`, as after `rm` or `mv new file`; or the source leads to something else by now (`replaced`), or to nothing (`gone`).
 */
export type MountFault = 'unmounted' | 'deleted' | 'replaced' | 'gone';

export interface MissingMount {
  /** As in the spec. */
  readonly destination: string;
  /** Of a bind, a path of the host. */
  readonly source: string;
  readonly fault: MountFault;
}

export async function findMissingMounts(
  host: Host,
  bundle: string,
  pid: number,
): Promise<readonly MissingMount[]> {
  const config = await readConfig(host, bundle);
  // The bundle's own step tells of that.
  if (config === undefined) return [];
  if (config.process.capabilities.bounding.includes('CAP_SYS_ADMIN')) return [];
  const table = await orNothing(readMounts(host, `/proc/${pid}`));
  if (table === undefined || table.length === 0) return [];
  const missing: MissingMount[] = [];
  for (const mount of config.mounts) {
    const { destination, source, type } = mount;
    if ((type !== 'bind' && type !== 'tmpfs') || STANDARD.has(destination)) continue;
    const fault = await findFault(host, mount, table, pid);
    if (fault !== undefined) missing.push({ destination, source, fault });
  }
  return missing;
}

async function findFault(
  host: Host,
  { destination, source, type }: OciMount,
  table: readonly MountState[],
  pid: number,
): Promise<MountFault | undefined> {
  const path = await findMountpoint(host, destination, table, pid);
  const there = table.filter(({ target }) => target === path);
  // A file that was deleted on the host lives on in the container, where no change of its successor arrives.
  if (there.every(({ root }) => root.endsWith('//deleted')))
    return there.length > 0 ? 'deleted' : 'unmounted';
  const top = topMount(table, path);
  // What is hidden by another mount, as by a masked path, cannot be looked at. (A read-only path is mounted on itself.)
  const isHidden = there.some(({ device, root }) => device !== top?.device || root !== top.root);
  // What a path leads to in /proc depends on who asks.
  if (type !== 'bind' || isHidden || top?.type === 'proc') return undefined;
  return compareWithSource(host, `/proc/${pid}/root${path}`, source);
}

/** By a symlink of the image it may lie elsewhere than it is written. */
async function findMountpoint(
  host: Host,
  destination: string,
  table: readonly MountState[],
  pid: number,
): Promise<string> {
  if (table.some(({ target }) => target === destination)) return destination;
  const found = await lookUp(host, viewOfProcess(pid), destination);
  return typeof found === 'string' ? destination : found.path;
}

/** Its server has ended (FUSE), or has it no more (NFS). */
const DEAD = new Set(['ENOTCONN', 'ESTALE']);

/**
 * By device and inode as stat(2) tells them: as long as it is mounted, no other file gets these. The mount table would not do,
 * in which NFS shows every path as `/`.
 */
async function compareWithSource(
  host: Host,
  mountpoint: string,
  source: string,
): Promise<MountFault | undefined> {
  // stat(2) mounts nothing on the folder of an automount, the way into it does; of a file there is none.
  const now = await look(
    async () => (await host.statusOfTarget(`${source}/.`)) ?? (await host.statusOfTarget(source)),
  );
  if ('failure' in now) return now.failure === 'ENOENT' ? 'gone' : undefined;
  const mounted = await look(() => host.status(mountpoint));
  if ('failure' in mounted) return DEAD.has(mounted.failure) ? 'replaced' : undefined;
  return mounted.device === now.device && mounted.inode === now.inode ? undefined : 'replaced';
}

/** What cannot be looked at is no drift; why that is so may be. */
async function look(
  read: () => Promise<FileStatus | undefined>,
): Promise<FileStatus | { readonly failure: string }> {
  try {
    return (await read()) ?? { failure: 'ENOENT' };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { failure: code };
  }
}

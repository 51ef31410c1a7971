// Mounts that are no longer in the container, that have become writable, or that show what their source no longer is.
// Reads only. All mounts of a container that may mount and unmount itself are left out.
import type { FileStatus, Host } from '../host/host.ts';
import { readMounts, type MountState } from '../host/kernel-view.ts';
import { topMount } from '../host/mount-lookup.ts';
import { orNothing } from '../host/proc-files.ts';
import type { OciMount } from '../oci/runtime-spec.ts';
import { readConfig } from './read-config.ts';
import { lookUp, viewOfProcess } from './root-view.ts';

/** Mounts of every container; those of other types than bind and tmpfs, as /proc, are standard, too. */
const STANDARD = new Set(['/dev', '/dev/shm']);

/**
 * `unmounted`: nothing is mounted at the destination. `writable`: it was mounted read-only. Otherwise what the source was at the start of the process is
 * mounted: it has been `deleted` since, as by `rm` or `mv new file`; or the source's path now leads to something else
 * (`replaced`), or to nothing (`gone`).
 */
export type MountFault = 'unmounted' | 'writable' | 'deleted' | 'replaced' | 'gone';

export interface MissingMount {
  /** The destination as in the spec. */
  readonly destination: string;
  /** For a bind, a path of the host. */
  readonly source: string;
  readonly fault: MountFault;
}

export async function findMissingMounts(
  host: Host,
  bundle: string,
  pid: number,
): Promise<readonly MissingMount[]> {
  const config = await readConfig(host, bundle);
  // A missing or damaged configuration is reported by the bundle's own step.
  if (config === undefined) return [];
  if (config.process.capabilities.bounding.includes('CAP_SYS_ADMIN')) return [];
  const table = await orNothing(readMounts(host, `/proc/${pid}`));
  if (table === undefined || table.length === 0) return [];
  const missing: MissingMount[] = [];
  for (const mount of config.mounts) {
    const { destination, source } = mount;
    const fault = await findFault(host, mount, table, pid);
    if (fault !== undefined) missing.push({ destination, source, fault });
  }
  return missing;
}

async function findFault(
  host: Host,
  { destination, source, type, options }: OciMount,
  table: readonly MountState[],
  pid: number,
): Promise<MountFault | undefined> {
  const path = await findMountpoint(host, destination, table, pid);
  const there = table.filter(({ target }) => target === path);
  // A file that was deleted on the host lives on in the container, where no change of its successor arrives.
  if (there.every(({ root }) => root.endsWith('//deleted')))
    return there.length > 0 ? 'deleted' : 'unmounted';
  // What else a standard place shows is the runtime's affair.
  if ((type !== 'bind' && type !== 'tmpfs') || STANDARD.has(destination)) return undefined;
  const top = topMount(table, path);
  // A mount under another one, such as a masked path, cannot be looked at. (A read-only path is mounted on itself.)
  const isHidden = there.some(({ device, root }) => device !== top?.device || root !== top.root);
  // Either the mount point or its file system can be read-only.
  const isReadOnly = [top?.options, top?.superOptions].some((words) => words?.split(',').includes('ro'));
  if (options.includes('ro') && !isHidden && !isReadOnly) return 'writable';
  // A path in /proc may lead to something else for each process that asks.
  if (type !== 'bind' || isHidden || top?.type === 'proc') return undefined;
  return compareWithSource(host, `/proc/${pid}/root${path}`, source);
}

/** The path at which the destination is mounted: a symlink of the image may lead it elsewhere. */
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

/** Errors of a mount whose server has ended (FUSE), or no longer has the file (NFS). */
const DEAD = new Set(['ENOTCONN', 'ESTALE']);

/**
 * Compares device and inode, as stat(2) tells them: no other file gets these while the former one is mounted. The mount
 * table would not do, since it shows every path of NFS as `/`.
 */
async function compareWithSource(
  host: Host,
  mountpoint: string,
  source: string,
): Promise<MountFault | undefined> {
  // stat(2) of an automount's folder mounts nothing, while a path through it (`/.`) does. A file has no such path.
  const now = await look(
    async () => (await host.statusOfTarget(`${source}/.`)) ?? (await host.statusOfTarget(source)),
  );
  if ('failure' in now) return now.failure === 'ENOENT' ? 'gone' : undefined;
  const mounted = await look(() => host.status(mountpoint));
  if ('failure' in mounted) return DEAD.has(mounted.failure) ? 'replaced' : undefined;
  return mounted.device === now.device && mounted.inode === now.inode ? undefined : 'replaced';
}

/** The status, or the errno of a failed look: some of these errors are drift, the others tell nothing. */
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

// A container's network namespace that has lost its name below /run/netns, or whose name is another namespace's by now,
// while the container's process is still in it.
import type { FileStatus, Host } from '../host/host.ts';
import { readNetns, type NetnsState } from '../host/kernel-view.ts';
import { orNothing } from '../host/proc-files.ts';
import { netnsFile } from '../names.ts';
import type { OciConfig } from '../oci/runtime-spec.ts';
import { containerFolder, RECORD_FOLDERS } from '../plan/container-folder.ts';
import { findLivingTask } from './proc.ts';
import { readContainerState } from './container-state.ts';
import { readConfig } from './read-config.ts';

/**
 * @returns the pid of the container's init, or of a thread of it, when the init was put into the namespace of this name
 *   and the name does not lead to the namespace that it is in.
 */
export async function findUnnamed(
  host: Host,
  dataDir: string,
  container: string,
  name: string,
): Promise<number | undefined> {
  const records = containerFolder(dataDir, container);
  const state = await readContainerState(host, records);
  if (state.status !== 'running') return undefined;
  const path = netnsFile(name);
  const task = await findLivingTask(host, state.pid);
  const [own, hosts, named] = await Promise.all(
    [`/proc/${task}/ns/net`, '/proc/self/ns/net', path].map((file) => orNothing(host.statusOfTarget(file))),
  );
  // A process in the host's namespace was started from an earlier configuration than the one that is there now.
  if (own === undefined || isSame(own, hosts) || isSame(own, named)) return undefined;
  const config = await readConfig(host, `${records}/${RECORD_FOLDERS.bundle}`);
  const network = config?.linux.namespaces.find(({ type }) => type === 'network');
  if (config === undefined || network?.path !== path) return undefined;
  // A file of another file system is no namespace: it has lost its mount.
  const isNamespace = named?.device === own.device;
  return isNamespace && mayUnshare(config) ? undefined : task;
}

function isSame(one: FileStatus, other: FileStatus | undefined): boolean {
  return one.device === other?.device && one.inode === other.inode;
}

/** Whether the process may have left for a namespace of its own making, which is its own affair. */
function mayUnshare({ process, linux }: OciConfig): boolean {
  return process.capabilities.bounding.includes('CAP_SYS_ADMIN') || linux.seccomp === undefined;
}

/** Links and routes in the container's network namespace, with or without its name; undefined when there is none. */
export async function readInside(
  {
    host,
    view,
    dataDir,
    container,
  }: {
    readonly host: Host;
    readonly view: { netns(name: string): Promise<NetnsState | undefined> };
    readonly dataDir: string;
    readonly container: string;
  },
  name: string,
): Promise<NetnsState | undefined> {
  const pid = await findUnnamed(host, dataDir, container, name);
  return pid === undefined ? view.netns(name) : readNetns(host, `/proc/${pid}/ns/net`);
}

// Namespaces that a container's process is put into. Those of another container are found by their names, or through
// its running process; a path in the spec stands for whatever namespace is there.
import type { FileStatus, Host } from '../host/host.ts';
import { netnsOf, netnsFile } from '../names.ts';
import type { OciConfig } from '../oci/runtime-spec.ts';
import type { BundleStep } from '../plan/plan.ts';
import { containerFolder } from '../plan/container-folder.ts';
import { readContainerState } from './container-state.ts';
import { findUnnamed } from './unnamed-namespace.ts';
import { type Joining, unjoinable } from './unjoinable.ts';

/** Names of the files below /proc/PID/ns, by OCI's types. */
export const NAMESPACE_FILES: Readonly<Record<string, string>> = {
  network: 'net',
  pid: 'pid',
  ipc: 'ipc',
  uts: 'uts',
  mount: 'mnt',
  cgroup: 'cgroup',
};

/** Begins the annotations of a bundle that say which namespaces its process was put into, each by OCI's type. */
export const JOINED = 'runspec.joined.';

export interface JoinedNamespace {
  readonly path: string;
  /** An id such as `net:[4026532288]`, the same for as long as the namespace is the same. */
  readonly id: string;
}

export interface NamedNamespace {
  /** OCI's type. */
  readonly type: string;
  readonly path: string;
  /** Undefined while there is no namespace at the path. */
  readonly id: string | undefined;
}

/**
 * The namespaces that the spec names by paths, as they are now. The configuration has to be the plan's: a completed one
 * has the paths of other containers' namespaces too.
 */
export async function readNamed(
  host: Host,
  { annotations, linux }: Pick<OciConfig, 'annotations' | 'linux'>,
): Promise<readonly NamedNamespace[]> {
  // The container's own network namespace has a path too, but a step of its own checks that.
  const own = netnsFile(netnsOf(annotations['runspec.name'] ?? ''));
  const named: NamedNamespace[] = [];
  for (const { type, path } of linux.namespaces) {
    if (path === undefined || path === own) continue;
    const found = await statusOfNamespace(host, path);
    named.push({ type, path, id: found && `${NAMESPACE_FILES[type] ?? type}:[${found.inode}]` });
  }
  return named;
}

/**
 * The status of the namespace at a path. All namespaces are files of one file system: a file of another one, such as
 * one that has lost its mount, is no namespace.
 */
export async function statusOfNamespace(host: Host, path: string): Promise<FileStatus | undefined> {
  const found = await host.statusOfTarget(path);
  const known = await host.statusOfTarget('/proc/self/ns/net');
  return found?.device === known?.device ? found : undefined;
}

/**
 * Finds a namespace of another container. A network namespace has a name, and stays when the process in it is another.
 *
 * @returns undefined while there is none, as the other container does not run.
 */
export async function findNamespace(
  host: Host,
  dataDir: string,
  type: string,
  container: string,
): Promise<JoinedNamespace | undefined> {
  const file = NAMESPACE_FILES[type] ?? type;
  const name = netnsOf(container);
  const pinned = netnsFile(name);
  const named = type === 'network' ? await host.status(pinned) : undefined;
  if (named !== undefined && (await findUnnamed(host, dataDir, container, name)) === undefined)
    return { path: pinned, id: `${file}:[${named.inode}]` };
  const state = await readContainerState(host, containerFolder(dataDir, container));
  if (state.status !== 'running') return undefined;
  const path = `/proc/${state.pid}/ns/${file}`;
  const id = await idOf(host, path);
  return id === undefined ? undefined : { path, id };
}

/** Undefined when the process has just ended. */
async function idOf(host: Host, path: string): Promise<string | undefined> {
  try {
    return await host.readLink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function joinNamespaces(
  joining: Joining,
  join: BundleStep['join'],
): Promise<readonly (JoinedNamespace & { readonly type: string })[]> {
  const { host, dataDir } = joining;
  const joined: (JoinedNamespace & { readonly type: string })[] = [];
  for (const { type, container } of join) {
    const { status } = await readContainerState(host, containerFolder(dataDir, container));
    const found = status === 'running' ? await findNamespace(host, dataDir, type, container) : undefined;
    if (found === undefined) throw await unjoinable(joining, type, container);
    joined.push({ type, ...found });
  }
  return joined;
}

// Namespaces taken from another container: found through its running process.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { BundleStep } from '../plan/plan.ts';
import { readContainerState } from './container-state.ts';
import type { OciNamespace } from '../oci/runtime-spec.ts';
import { recordsFolder } from './records.ts';

/** By OCI's type, the name below /proc/PID/ns. */
const FILES: Readonly<Record<string, string>> = {
  network: 'net',
  pid: 'pid',
  ipc: 'ipc',
  uts: 'uts',
  mount: 'mnt',
  cgroup: 'cgroup',
};

/** Undefined while the other container does not run. */
export async function readJoinedPath(
  host: Host,
  dataDir: string,
  type: string,
  container: string,
): Promise<string | undefined> {
  const state = await readContainerState(host, recordsFolder(dataDir, container));
  return state.status === 'running' ? `/proc/${state.pid}/ns/${FILES[type] ?? type}` : undefined;
}

export async function joinNamespaces(
  host: Host,
  dataDir: string,
  join: BundleStep['join'],
): Promise<readonly OciNamespace[]> {
  const joined: OciNamespace[] = [];
  for (const { type, container } of join) {
    const path = await readJoinedPath(host, dataDir, type, container);
    if (path === undefined) {
      throw new OperationError(
        `the ${type} namespace of ${container} cannot be joined: ${container} does not run`,
        {
          hint: `apply ${container} first; see: runspec ps`,
        },
      );
    }
    joined.push({ type, path });
  }
  return joined;
}

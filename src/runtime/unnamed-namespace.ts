// A container's network namespace that has lost its name below /run/netns: its process is in it still.
import type { Host } from '../host/host.ts';
import { NETNS_FOLDER, readNetns, type NetnsState } from '../host/kernel-view.ts';
import { readLinkOrNothing } from '../host/proc-files.ts';
import { containerFolder, RECORD_FOLDERS } from '../plan/container-folder.ts';
import { findLivingTask } from './proc.ts';
import { readContainerState } from './container-state.ts';
import { readConfig } from './read-config.ts';

/**
 * @returns the pid of the container's init, or of a thread of it, when that was put into the namespace of this name; to be
 * asked once that is gone.
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
  const config = await readConfig(host, `${records}/${RECORD_FOLDERS.bundle}`);
  const network = config?.linux.namespaces.find(({ type }) => type === 'network');
  if (network?.path !== `${NETNS_FOLDER}/${name}`) return undefined;
  const task = await findLivingTask(host, state.pid);
  // A configuration that was written anew says nothing of a process that is in the host's.
  const [own, hosts] = await Promise.all(
    [task, 'self'].map((pid) => readLinkOrNothing(host, `/proc/${pid}/ns/net`)),
  );
  return own === undefined || own === hosts ? undefined : task;
}

/** What is in the namespace, by its name or without; undefined when there is none. */
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
  const named = await view.netns(name);
  if (named !== undefined) return named;
  const pid = await findUnnamed(host, dataDir, container, name);
  return pid === undefined ? undefined : readNetns(host, `/proc/${pid}/ns/net`);
}

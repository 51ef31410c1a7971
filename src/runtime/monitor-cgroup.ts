// The cgroup of conmon: `/runspec/NAME.monitor`, beside the container's own, in the one hierarchy by which
// sessions are tracked. In it conmon outlives the caller's session, and a conmon that was just being
// started when runspec was killed is found again. A dot cannot be part of a container's name.
import type { Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import { removeWhenEmpty } from '../host/remove-when-empty.ts';
import { monitorCgroupBeside } from '../names.ts';
import { type CgroupFolder, cgroupFolders, removeCgroupFolder, trackingFolder } from './cgroup-processes.ts';

export function monitorCgroup(
  mounts: readonly MountState[],
  containerCgroup: string,
): CgroupFolder | undefined {
  return trackingFolder(cgroupFolders(mounts, monitorCgroupBeside(containerCgroup)));
}

export async function makeMonitorCgroup(
  host: Host,
  mounts: readonly MountState[],
  containerCgroup: string,
): Promise<CgroupFolder | undefined> {
  const cgroup = monitorCgroup(mounts, containerCgroup);
  if (cgroup === undefined) return undefined;
  for (let attempt = 0; ; attempt += 1) {
    try {
      await host.makeDirectory(parentOf(cgroup.folder), { mode: 0o755 });
      await host.makeDirectory(cgroup.folder, { mode: 0o755 });
      return cgroup;
    } catch (error) {
      // The down of another container has removed the shared parent in between.
      if (attempt >= 5 || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

export async function enterMonitorCgroup(host: Host, cgroup: CgroupFolder, pid: number): Promise<void> {
  try {
    await host.writeInPlace(`${cgroup.folder}/cgroup.procs`, String(pid));
  } catch (error) {
    // The monitor has ended already; its stderr is reported where its reply is awaited.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Less than a grace period of RCU. */
const PAUSE_MS = 4;
/** Half a second: a runtime that takes longer waits for something else. */
const ROUNDS = 125;

/**
 * Moves the monitor into the cgroup that it is in already, again and again. The first process that changes its cgroup
 * waits for a grace period of RCU, 5 to 20 ms; those that follow soon after do not (kernel/rcu/sync.c, under
 * cgroup_threadgroup_rwsem). So the runtime, which moves the container's init within its `create`, need not wait; the
 * monitor waits anyway.
 */
export async function keepMovesQuick(
  host: Host,
  cgroup: CgroupFolder,
  monitorPid: () => Promise<number | undefined>,
  until: Promise<unknown>,
): Promise<void> {
  const progress = { isOver: false };
  const end = (): boolean => (progress.isOver = true);
  until.then(end, end);
  for (let round = 0; round < ROUNDS && !progress.isOver; round += 1) {
    const pid = await monitorPid();
    if (pid !== undefined) await enterMonitorCgroup(host, cgroup, pid);
    await host.sleep(PAUSE_MS);
  }
}

export async function removeMonitorCgroup(host: Host, cgroup: CgroupFolder): Promise<void> {
  await removeCgroupFolder(host, cgroup.folder);
  // The parent may still be in use, by this container's cgroup or another one's.
  await removeWhenEmpty(host, parentOf(cgroup.folder));
}

function parentOf(folder: string): string {
  return folder.slice(0, folder.lastIndexOf('/'));
}

// The processes in a cgroup: found in every hierarchy, killed as a whole, waited for. Limits and the
// container's own cgroup folders are the cgroup op's.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import { waitUntil } from './proc.ts';

export interface CgroupFolder {
  readonly version: 1 | 2;
  /** v1: as in `memory` or `name=systemd`; v2: none. */
  readonly controllers: readonly string[];
  readonly folder: string;
}

/** The folder of a cgroup path in each mounted hierarchy, whether it exists or not; v2 first. */
export function cgroupFolders(mounts: readonly MountState[], path: string): readonly CgroupFolder[] {
  const found = mounts.flatMap((mount): readonly CgroupFolder[] => {
    const folder = `${mount.target}${path}`;
    if (mount.type === 'cgroup2') return [{ version: 2, controllers: [], folder }];
    if (mount.type === 'cgroup') return [{ version: 1, controllers: mount.superOptions.split(','), folder }];
    return [];
  });
  const unique = found.filter(
    (one, index) => found.findIndex(({ folder }) => folder === one.folder) === index,
  );
  return unique.toSorted((a, b) => b.version - a.version);
}

/** The hierarchy by which a session's processes are tracked and ended: v2, else systemd's own, else any. */
export function trackingFolder(folders: readonly CgroupFolder[]): CgroupFolder | undefined {
  return folders[0]?.version === 2
    ? folders[0]
    : (folders.find(({ controllers }) => controllers.includes('name=systemd')) ?? folders[0]);
}

/** Pids in the cgroups and all below them. */
export async function listProcesses(
  host: Host,
  folders: readonly CgroupFolder[],
): Promise<readonly number[]> {
  const lists = await Promise.all(folders.map(({ folder }) => listBelow(host, folder)));
  return [...new Set(lists.flat())];
}

/**
 * Kills every process in the cgroups, the paused and the newly forked included, and waits until they are gone.
 * @throws OperationError naming the pids when some are left after `milliseconds`.
 */
export async function killProcesses(
  host: Host,
  folders: readonly CgroupFolder[],
  milliseconds: number,
): Promise<void> {
  if ((await listProcesses(host, folders)).length === 0) return;
  const empty = await waitUntil(host, milliseconds, async () => {
    await killOnce(host, folders);
    return (await listProcesses(host, folders)).length === 0;
  });
  if (empty) return;
  const left = await listProcesses(host, folders);
  throw new OperationError(
    `processes ${left.join(', ')} in ${folders[0]?.folder ?? 'the cgroup'} do not end`,
    {
      hint: 'a process in uninterruptible sleep waits for a device or a network file system; see: ps -o pid,stat,wchan',
    },
  );
}

/**
 * rmdir(2) of one cgroup folder; the kernel lets go of a dying process a moment after it was reaped.
 * @returns false when there is none.
 */
export async function removeCgroupFolder(host: Host, folder: string): Promise<boolean> {
  let busy: unknown;
  let isThere = false;
  const removed = await waitUntil(host, 2000, async () => {
    try {
      isThere = await host.removeDirectory(folder);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      busy = error;
      return false;
    }
  });
  if (removed) return isThere;
  const pids = (await host.readText(`${folder}/cgroup.procs`))?.trim().replaceAll('\n', ', ');
  throw new OperationError(`cannot remove the cgroup ${folder}`, {
    cause: busy,
    hint: pids === undefined || pids === '' ? undefined : `processes ${pids} are still in it`,
  });
}

// Kills the processes one by one. cgroup.kill would not do: a kernel with the fix for its race with fork(2) (6.14,
// still in 6.18) kills every later clone3(2) with CLONE_INTO_CGROUP into a cgroup that was ever killed so, which is how
// crun starts; and the cgroup has to serve for the next start, as its limits are kept.
async function killOnce(host: Host, folders: readonly CgroupFolder[]): Promise<void> {
  const freezers = await findFreezers(host, folders);
  const [freezer] = freezers;
  // A frozen process cannot fork. The freeze is not waited for: a process that this list misses is in the next one.
  if (freezer !== undefined) await writeIfThere(host, freezer.file, freezer.freeze);
  for (const pid of await listProcesses(host, folders)) await host.kill(pid, 'SIGKILL');
  // On v1 a process paused by us, or by someone before, dies only once it is thawed.
  for (const { file, thaw } of freezers) await writeIfThere(host, file, thaw);
}

/**
 * Writes to a file of a cgroup unless it is gone: a runtime in the foreground removes the cgroup itself as soon as its
 * process has ended.
 */
export async function writeIfThere(host: Host, file: string, text: string): Promise<void> {
  try {
    await host.writeInPlace(file, text);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
  }
}

interface Freezer {
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
}

async function findFreezers(host: Host, folders: readonly CgroupFolder[]): Promise<readonly Freezer[]> {
  const candidates = folders.flatMap(({ version, controllers, folder }): readonly Freezer[] => {
    if (version === 2) return [{ file: `${folder}/cgroup.freeze`, freeze: '1', thaw: '0' }];
    return controllers.includes('freezer')
      ? [{ file: `${folder}/freezer.state`, freeze: 'FROZEN', thaw: 'THAWED' }]
      : [];
  });
  const found = await Promise.all(candidates.map(({ file }) => host.status(file)));
  return candidates.filter((_, index) => found[index] !== undefined);
}

async function listBelow(host: Host, folder: string): Promise<readonly number[]> {
  const text = await readMembers(host, folder);
  if (text === undefined) return [];
  const own = text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
  // Pids from outside our pid namespace read as 0.
  const below = await Promise.all((await childFolders(host, folder)).map((child) => listBelow(host, child)));
  return [...own.filter((pid) => pid > 0), ...below.flat()];
}

async function readMembers(host: Host, folder: string): Promise<string | undefined> {
  try {
    return await host.readText(`${folder}/cgroup.procs`);
  } catch (error) {
    // The cgroup was removed between open(2) and read(2), or is a threaded v2 one, whose processes are listed by its
    // domain.
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENODEV' || code === 'EOPNOTSUPP' || code === 'ENOTSUP') return undefined;
    throw error;
  }
}

/** The kernel's own files, which need no lstat(2) to be told from the folders of child cgroups. */
const CONTROL_FILE =
  /^(?:tasks|notify_on_release|release_agent|(?:cgroup|cpu|cpuacct|cpuset|memory|pids|io|blkio|hugetlb|rdma|misc|freezer|devices|net_cls|net_prio|perf_event|irq|dmem)\..*)$/;

/** Full paths of the child cgroups. */
export async function childFolders(host: Host, folder: string): Promise<readonly string[]> {
  const candidates = ((await host.list(folder)) ?? [])
    .filter((name) => !CONTROL_FILE.test(name))
    .map((name) => `${folder}/${name}`);
  const types = await Promise.all(candidates.map((path) => host.status(path)));
  return candidates.filter((_, index) => types[index]?.type === 'directory');
}

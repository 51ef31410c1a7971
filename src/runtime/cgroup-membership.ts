// Whether a container's process is still in its cgroup: a program that may write to cgroup.procs can move it elsewhere.
import type { Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import { listPids } from '../host/proc-files.ts';
import type { CgroupHierarchy, CgroupStep } from '../plan/plan.ts';
import { childFolders, listProcesses } from './cgroup-processes.ts';
import {
  findLivingTask,
  isAlive,
  type ProcessIdentity,
  readBootId,
  readParent,
  readProcFile,
} from './proc.ts';
import { readProcessFile } from './process-file.ts';

export interface Strayed {
  readonly hierarchy: CgroupHierarchy;
  readonly init: ProcessIdentity;
  /** The cgroup that the init is in, as a path below the hierarchy's root, as in /proc/PID/cgroup. */
  readonly found: string;
}

/** Hierarchies in which the init is somewhere else than in the container's cgroup or one below it. Reads only. */
export async function findStrayed(
  host: Host,
  step: CgroupStep,
  records: string,
  mounts: readonly MountState[],
): Promise<readonly Strayed[]> {
  const record = await readProcessFile(host, records);
  if (record === undefined || record.bootId !== (await readBootId(host))) return [];
  const { init } = record;
  if (!(await isAlive(host, init))) return [];
  const task = await findLivingTask(host, init.pid);
  const places = task === undefined ? new Map<string, string>() : await readPlaces(host, task);
  const strayed: Strayed[] = [];
  for (const hierarchy of step.hierarchies.filter((one) => isBinding(one, step))) {
    const found = places.get(keyOf(hierarchy));
    const root = mounts.findLast(({ target }) => target === hierarchy.mountpoint)?.root ?? '/';
    const wanted = `${root === '/' ? '' : root}${step.path}`;
    if (found === undefined || found === wanted || found.startsWith(`${wanted}/`)) continue;
    // In a cgroup namespace of runspec's own the paths do not fit together, so the processes in the folder decide.
    const { version, controllers } = hierarchy;
    const folder = { version, controllers, folder: folderOf(step, hierarchy) };
    if (!(await listProcesses(host, [folder])).includes(init.pid)) strayed.push({ hierarchy, init, found });
  }
  return strayed;
}

/**
 * Whether the process has to be in the hierarchy. Of several only those with limits count: runtimes do not put a
 * process into every hierarchy of a host.
 */
function isBinding({ version, files }: CgroupHierarchy, { hierarchies }: CgroupStep): boolean {
  return files.length > 0 || (version === 2 && hierarchies.length === 1);
}

/** Moves the init back, and those of its descendants that went the same way. */
export async function bringBack(host: Host, step: CgroupStep, strayed: readonly Strayed[]): Promise<void> {
  const [first] = strayed;
  if (first === undefined) return;
  const descendants = await listDescendants(host, first.init.pid);
  for (const { hierarchy, init, found } of strayed) {
    const folder = folderOf(step, hierarchy);
    for (const pid of descendants)
      if ((await readPlaces(host, pid)).get(keyOf(hierarchy)) === found) await move(host, pid, folder);
    if (await isAlive(host, init)) await move(host, init.pid, folder);
  }
}

/**
 * Moves a process into a cgroup. A v2 cgroup that has enabled controllers for its children takes no process itself
 * (EBUSY): the process goes to a child.
 */
async function move(host: Host, pid: number, folder: string): Promise<void> {
  try {
    await host.writeInPlace(`${folder}/cgroup.procs`, String(pid));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The process has ended meanwhile.
    if (code === 'ESRCH') return;
    const [below] = code === 'EBUSY' ? await childFolders(host, folder) : [];
    if (below === undefined) throw error;
    await move(host, pid, below);
  }
}

async function listDescendants(host: Host, init: number): Promise<readonly number[]> {
  const pids = (await listPids(host)).map(Number);
  const parents = await Promise.all(pids.map((pid) => readParent(host, pid)));
  // The parents were read one after the other, and pids used again meanwhile can make them a circle: in a set each
  // process is found only once. The set grows while it is walked, so that the children of each process found are found
  // in turn.
  const found = new Set([init]);
  for (const parent of found) pids.forEach((pid, index) => parents[index] === parent && found.add(pid));
  found.delete(init);
  return [...found];
}

/** The cgroups of a process by controller, v2's by the empty name. cgroups(7): a line is `ID:CONTROLLERS:PATH`. */
async function readPlaces(host: Host, pid: number): Promise<ReadonlyMap<string, string>> {
  const lines = ((await readProcFile(host, `/proc/${pid}/cgroup`)) ?? '').split('\n');
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return controllers === undefined || path === undefined
        ? []
        : controllers.split(',').map((controller) => [controller, path]);
    }),
  );
}

function keyOf({ version, controllers }: CgroupHierarchy): string {
  return version === 2 ? '' : (controllers[0] ?? '');
}

export function folderOf({ path }: CgroupStep, { mountpoint }: CgroupHierarchy): string {
  return `${mountpoint}${path}`;
}

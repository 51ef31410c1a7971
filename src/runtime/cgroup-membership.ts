// Whether a container's process is in its cgroup still: whoever may write to cgroup.procs can move it out of its limits.
import type { Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import { listOrNothing, readLinkOrNothing } from '../host/proc-files.ts';
import type { CgroupHierarchy, CgroupStep } from '../plan/plan.ts';
import { isAlive, readBootId, readProcFile } from './proc.ts';
import { readProcessRecord } from './records.ts';

export interface Strayed {
  readonly hierarchy: CgroupHierarchy;
  /** The container's init. */
  readonly pid: number;
  /** Below the hierarchy's root, as /proc/PID/cgroup has it. */
  readonly found: string;
}

/** Hierarchies in which the init is somewhere else than in the container's cgroup or one below it. Reads only. */
export async function findStrayed(
  host: Host,
  step: CgroupStep,
  records: string,
  mounts: readonly MountState[],
): Promise<readonly Strayed[]> {
  const record = await readProcessRecord(host, records);
  if (record === undefined || record.bootId !== (await readBootId(host))) return [];
  if (!(await isAlive(host, record.init))) return [];
  const { pid } = record.init;
  const places = await readPlaces(host, pid);
  return step.hierarchies.flatMap((hierarchy): readonly Strayed[] => {
    const found = places.get(keyOf(hierarchy));
    const root = mounts.findLast(({ target }) => target === hierarchy.mountpoint)?.root ?? '/';
    const wanted = `${root === '/' ? '' : root}${step.path}`;
    const isInside = found === undefined || found === wanted || found.startsWith(`${wanted}/`);
    return isInside ? [] : [{ hierarchy, pid, found }];
  });
}

/** Moves the init back, and what is in the same pid namespace and went the same way. */
export async function bringBack(host: Host, step: CgroupStep, strayed: readonly Strayed[]): Promise<void> {
  const [first] = strayed;
  if (first === undefined) return;
  const companions = await listCompanions(host, first.pid);
  for (const { hierarchy, pid, found } of strayed) {
    for (const one of [pid, ...companions]) {
      if (one !== pid && (await readPlaces(host, one)).get(keyOf(hierarchy)) !== found) continue;
      await move(host, one, `${hierarchy.mountpoint}${step.path}/cgroup.procs`);
    }
  }
}

async function move(host: Host, pid: number, file: string): Promise<void> {
  try {
    await host.writeInPlace(file, String(pid));
  } catch (error) {
    // It has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** None where the init is in runspec's own pid namespace, with all of the host's processes. */
async function listCompanions(host: Host, init: number): Promise<readonly number[]> {
  const namespace = await pidNamespace(host, String(init));
  if (namespace === undefined || namespace === (await pidNamespace(host, 'self'))) return [];
  const pids = (await listOrNothing(host, '/proc')).filter((name) => /^\d+$/.test(name));
  const namespaces = await Promise.all(pids.map((pid) => pidNamespace(host, pid)));
  return pids.filter((_, index) => namespaces[index] === namespace).map(Number);
}

function pidNamespace(host: Host, process: string): Promise<string | undefined> {
  return readLinkOrNothing(host, `/proc/${process}/ns/pid`);
}

/** By the first controller of a v1 hierarchy; of v2 by no name. man 7 cgroups: `ID:CONTROLLERS:PATH` a line. */
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

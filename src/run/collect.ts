// Garbage collection on the host: what no record tells of is removed container by container, then the shared things
// that no container uses any more.
import type { Step } from '../plan/plan.ts';
import { cgroupFolders } from '../runtime/cgroup-processes.ts';
import { removeWhenEmpty } from '../host/remove-when-empty.ts';
import { CGROUP_ROOT } from '../names.ts';
import { findNames } from './inventory.ts';
import { findRemains, findUnused, removeRemains, removeUnused, type Remains } from './remains.ts';
import type { Reporter } from './report.ts';
import type { Session } from './session.ts';

export interface Collected {
  readonly remains: readonly Remains[];
  readonly unused: readonly Step[];
  /** Failures to remove something. */
  readonly failures: readonly Error[];
}

/** Finds what `collect` would remove now. */
export async function survey(session: Session): Promise<Collected> {
  const remains = await findAll(session);
  const doomed = remains.filter(({ left }) => left === undefined);
  return { remains, unused: await findGoing(session, await findUnused(session, doomed)), failures: [] };
}

export async function collect(session: Session, report: Reporter): Promise<Collected> {
  const remains = await findAll(session);
  const failures: Error[] = [];
  for (const one of remains) {
    if (one.left !== undefined || one.steps.length === 0) continue;
    failures.push(...(await removeRemains(session, one, report)));
  }
  await removeEmptyCgroups(session);
  await session.records.tidy();
  const unused = await findUnused(session);
  const going = await findGoing(session, unused);
  failures.push(...(await removeUnused(session, unused, report)));
  return { remains, unused: going, failures };
}

/** The steps whose objects are removed, without volumes and without folders in which something stays. */
async function findGoing({ host }: Session, steps: readonly Step[]): Promise<readonly Step[]> {
  const going = new Set<Step>();
  const folders = new Set<string>();
  const pathOf = (step: Step): string => (step.op === 'directory' ? step.path : '');
  for (const step of steps.toSorted((one, other) => pathOf(other).length - pathOf(one).length)) {
    if (step.op === 'directory') {
      if (step.removal === 'volume') continue;
      const content = step.removal === 'empty' ? ((await host.list(step.path)) ?? []) : [];
      if (content.some((name) => !folders.has(`${step.path}/${name}`))) continue;
      folders.add(step.path);
    }
    going.add(step);
  }
  return steps.filter((step) => going.has(step));
}

/** Removes the parent cgroup of all containers. A container that is just being made in it makes it again. */
async function removeEmptyCgroups({ host, view }: Session): Promise<void> {
  for (const { folder } of cgroupFolders(await view.mounts(), CGROUP_ROOT)) {
    await removeWhenEmpty(host, folder);
  }
}

async function findAll(session: Session): Promise<readonly Remains[]> {
  const names = await findNames(session);
  return Promise.all(
    names.map(async (name) => findRemains(session, name, await session.records.look(name), false)),
  );
}

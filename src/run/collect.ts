// Removes what no record tells of: by container first, then what containers shared and none uses any more.
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
  /** What could not be removed. */
  readonly failures: readonly Error[];
}

/** What `collect` would remove now. */
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

/** Those that are not kept: volumes are, and folders with something in them that stays. */
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

/** The cgroup above all containers'. One that is just being made in it makes it again when it is gone. */
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

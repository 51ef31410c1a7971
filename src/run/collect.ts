// Removes what no record tells of: by container first, then what containers shared and none uses any more.
import type { Step } from '../plan/plan.ts';
import { cgroupFolders } from '../runtime/cgroup-processes.ts';
import { CGROUP_ROOT, findNames } from './inventory.ts';
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
  return { remains, unused: await findUnused(session, doomed), failures: [] };
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
  failures.push(...(await removeUnused(session, unused, report)));
  return { remains, unused, failures };
}

/** The cgroup above all containers'. One that is just being made in it makes it again when it is gone. */
async function removeEmptyCgroups({ host, view }: Session): Promise<void> {
  for (const { folder } of cgroupFolders(await view.mounts(), CGROUP_ROOT)) {
    try {
      await host.removeDirectory(folder);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EBUSY' && code !== 'ENOTEMPTY') throw error;
    }
  }
}

async function findAll(session: Session): Promise<readonly Remains[]> {
  const names = await findNames(session);
  return Promise.all(
    names.map(async (name) => findRemains(session, name, await session.records.look(name), false)),
  );
}

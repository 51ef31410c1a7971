// Whether an apply would find nothing to do: neither on the host nor in what runspec keeps of it. Reads only.
import type { Plan } from '../plan/plan.ts';
import { hasEffect, type Change } from './changes.ts';
import { areVolumesNoted } from './volume-notes.ts';
import { listLeftovers } from './lock.ts';
import type { ContainerRecord } from './records.ts';
import type { Session } from './session.ts';
import { hasWork } from './stale-work.ts';

/** Whether nothing was left half done by anybody, and every container has a whole record. */
export async function isTidy(
  { host, dataDir, shared, records }: Session,
  names: readonly string[],
): Promise<boolean> {
  if ((await listLeftovers(host, dataDir)).length > 0 || (await hasWork(host, dataDir))) return false;
  if (!(await shared.isWhole())) return false;
  const found = await Promise.all(names.map((name) => records.look(name)));
  return found.every(({ record, faults }) => record !== undefined && faults.length === 0);
}

export async function isSettled(
  places: Pick<Session, 'host' | 'dataDir'>,
  { plan, changes, record, specFile }: Settling,
): Promise<boolean> {
  if (record?.applied === undefined || record.pending !== undefined || hasEffect(changes)) return false;
  return isRecorded(record, plan, specFile) && (await areVolumesNoted(places, plan.name, plan.steps));
}

interface Settling {
  readonly plan: Plan;
  readonly changes: readonly Change[];
  readonly record: ContainerRecord | undefined;
  readonly specFile: string;
}

/**
 * Whether the record has this plan and this spec file. A file that was moved counts as a change, since the record is
 * how the spec is found by the container's name.
 */
export function isRecorded(record: ContainerRecord, plan: Plan, specFile: string): boolean {
  return record.applied !== undefined && record.specFile === specFile && isSamePlan(record.applied, plan);
}

/** Whether the plans do the same: the spec's digest, which differs between spellings of a spec, does not count. */
function isSamePlan(one: Plan, other: Plan): boolean {
  return JSON.stringify({ ...one, specDigest: '' }) === JSON.stringify({ ...other, specDigest: '' });
}

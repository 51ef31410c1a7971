// Takes one container down by its record; if that is lost or damaged, by owners that the kernel and the folders name.
import { OperationError } from '../errors.ts';
import type { RevertOptions } from '../ops/op.ts';
import type { Step } from '../plan/plan.ts';
import { forgetForeground } from '../run/foreground.ts';
import { removeKeptData } from '../run/kept-data.ts';
import { isOwnFolder } from '../run/inventory.ts';
import { recordedSteps } from '../run/records.ts';
import { findRemains, findUnused, removeRemains, removeUnused } from '../run/remains.ts';
import type { Reporter } from '../run/report.ts';
import { revertSteps } from '../run/revert.ts';
import { opContext, type Session } from '../run/session.ts';
import { noteVolumes } from '../run/volume-notes.ts';
import type { CommandContext } from './context.ts';
import { joinFailures } from './join-failures.ts';

/**
 * @returns whether remains without a readable record were found, so that shared things may be left.
 * @throws OperationError naming what could not be reverted.
 */
export async function takeDown(
  context: CommandContext,
  session: Session,
  name: string,
  report: Reporter,
  { volumes, together }: RevertOptions,
): Promise<boolean> {
  const started = context.host.monotonic();
  const { records, shared } = session;
  const isDamaged = await setAsideUnreadable(session, name, report);
  const record = await records.read(name);
  const failures: Error[] = [];
  if (record !== undefined) {
    if (!volumes) await noteVolumes(session, name, recordedSteps(record));
    const reversal = {
      context: opContext(session, name, (text) => report.progress(name, '', text)),
      records,
      shared,
      report,
      before: record.before,
      options: { volumes, together },
    };
    failures.push(...(await revertSteps(reversal, recordedSteps(record))));
  }
  const isLost = isDamaged || record === undefined;
  // The view still has what was reverted above.
  if (isLost) session.view.forget();
  const found = isLost && (await removeLost(session, name, report, failures));
  const [failure, ...others] = failures;
  if (failure !== undefined)
    throw joinFailures([failure, ...others], `${name}: ${failures.length} steps could not be reverted`);
  await forgetForeground(context.host, context.dataDir, name);
  if (record !== undefined || (await isOwnFolder(session, name))) await records.remove(name);
  else await records.tidy();
  if (record === undefined && !found) {
    const isRemoved = volumes && (await removeKept(context, session, name, report, together));
    if (!isRemoved && context.json) report.progress(name, '', 'is not up');
    else if (!isRemoved && !context.quiet) context.stderr(`${name} is not up`);
    return false;
  }
  const removed = volumes ? await removeKeptData(session, name, together) : [];
  // The steps have reported what the plan has; kept data that the spec does not have any more is reported here.
  if (removed.length > 0 && record !== undefined) report.progress(name, '', `removed ${removed.join(', ')}`);
  sayDown(context, name, context.host.monotonic() - started);
  return isLost && found;
}

/** Removes what a container that is down has left. @returns whether there was anything. */
export async function removeKept(
  context: CommandContext,
  session: Session,
  name: string,
  report: Reporter,
  together: RevertOptions['together'],
): Promise<boolean> {
  const removed = await removeKeptData(session, name, together);
  if (removed.length === 0) return false;
  if (context.json) report.progress(name, '', `removed ${removed.join(', ')}`);
  else if (!context.quiet) context.stderr(`${name}: removed ${removed.join(', ')}`);
  return true;
}

function sayDown(context: CommandContext, name: string, milliseconds: number): void {
  if (context.json) context.stdout(`${JSON.stringify({ event: 'down', container: name, milliseconds })}\n`);
  else if (!context.quiet) context.stderr(`${name} is down  ${milliseconds} ms`);
}

/** Reports each file of the record that cannot be read, and puts it out of the way. @returns whether there was one. */
export async function setAsideUnreadable(session: Session, name: string, report: Reporter): Promise<boolean> {
  const found = await session.records.look(name);
  const unreadable = found.faults.filter(({ kind }) => kind === 'unreadable');
  for (const { path } of unreadable)
    report.progress(
      name,
      '',
      `the record ${path} cannot be read: set aside, and gone by what is on the host`,
    );
  await session.records.setAside(found);
  return unreadable.length > 0;
}

/** What is on the host of a container that no record tells of. @throws OperationError when it is not to be touched. */
export async function findLost(session: Session, name: string): Promise<readonly Step[]> {
  const { steps, left } = await findRemains(session, name, { record: undefined, faults: [] }, true);
  if (steps.length > 0 && left !== undefined)
    throw new OperationError(`${name} is left alone: ${left}`, {
      hint: 'use the --data-dir and --state-dir it was applied with, or another name',
    });
  return steps;
}

/** Removes it. @returns whether anything was there. */
export async function removeLost(
  session: Session,
  name: string,
  report: Reporter,
  failures: Error[],
): Promise<boolean> {
  const steps = await findLost(session, name);
  if (steps.length === 0) return false;
  failures.push(...(await removeRemains(session, { name, steps }, report)));
  return true;
}

/** Removes shared things that nobody uses any more, and whose users' records were lost. */
export async function removeUnusedShared(
  session: Session,
  report: Reporter,
): Promise<readonly OperationError[]> {
  return removeUnused(session, await findUnused(session), report);
}

/** Reports when the record of shared things could not be read, and was made again from the containers' records. */
export async function mendShared({ shared, dataDir }: Session, report: Reporter): Promise<void> {
  if (await shared.mend())
    report.progress(
      'runspec',
      '',
      `the record ${dataDir}/shared.json could not be read: made again from the others`,
    );
}

// The intents of an apply in the journal: every step that is about to change something, with what was there before.
import type { OperationError } from '../errors.ts';
import { opOf } from '../ops/index.ts';
import type { Before } from '../ops/op.ts';
import type { Application } from './application.ts';
import type { Change } from './changes.ts';
import type { JournalEntry } from './records.ts';
import { asFailure } from './revert.ts';

/**
 * Journals the intents of all `changes` ahead of the first effect, and adds what was there before each to `before`. All
 * share one sync of the disk: one sync for each step took a third of an apply.
 *
 * @returns the failures; empty when every intent is in the journal.
 */
export async function announce(
  application: Application,
  changes: readonly Change[],
  before: Record<string, Before>,
): Promise<readonly OperationError[]> {
  const { context, records, shared, leaveOut } = application;
  const failures: OperationError[] = [];
  const attempt = async (change: Change, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (cause) {
      failures.push(asFailure(context, change.step, cause));
    }
  };
  const wanted = changes.filter((change) => change.action !== 'none' && change.step.op !== leaveOut);
  const looks = new Map<Change, Before | undefined>();
  const look = async (change: Change): Promise<void> => {
    const { step } = change;
    // Only the state before the first change counts: a later look would see runspec's own work.
    const known = step.shared === true ? shared.before(step.id) : before[step.id];
    looks.set(change, known ?? (await opOf(step).before?.(context, step)));
  };
  await Promise.all(wanted.map((change) => attempt(change, () => look(change))));
  if (failures.length > 0) return failures;
  const keep = async (change: Change): Promise<void> => {
    const { id } = change.step;
    const found = looks.get(change);
    // The record keeps the former state of a shared step too, in case shared.json gets lost.
    if (found !== undefined) before[id] = found;
    const direction = change.action === 'update' ? 'update' : 'apply';
    const intent: JournalEntry = {
      event: 'intent',
      direction,
      step: id,
      ...(found === undefined ? {} : { before: found }),
    };
    const isShared = change.step.shared === true && found !== undefined;
    await Promise.all([
      records.journal(context.container, intent),
      ...(isShared ? [shared.remember(change.step, found)] : []),
    ]);
  };
  await Promise.all(wanted.map((change) => attempt(change, () => keep(change))));
  return failures;
}

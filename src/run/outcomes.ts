// The outcomes of steps in the journal, for people who look into an apply that was killed. A rollback or a down needs
// the intents only, so outcomes are written a few at a time, and not at all once the apply has succeeded.
import type { Host } from '../host/host.ts';
import type { JournalEntry } from './records.ts';

const PAUSE_MS = 20;

export interface Outcomes {
  add(entry: JournalEntry): void;
  /** Writes the entries that still wait; @returns why one could not be written. */
  write(): Promise<unknown>;
  /** Drops the entries that still wait; @returns why an earlier one could not be written. */
  end(): Promise<unknown>;
}

/** @param journal writes an entry; entries that are handed over at the same time go to the disk together. */
export function createOutcomes(host: Host, journal: (entry: JournalEntry) => Promise<void>): Outcomes {
  let waiting: JournalEntry[] = [];
  const written: Promise<unknown>[] = [];
  const write = (): void => {
    // A failure to write is kept as a value: the failure of the step itself is reported first.
    for (const entry of waiting)
      written.push(
        journal(entry).then(
          () => undefined,
          (problem: unknown) => problem,
        ),
      );
    waiting = [];
  };
  const problem = async (): Promise<unknown> => (await Promise.all(written)).find((one) => one !== undefined);
  return {
    add(entry) {
      waiting.push(entry);
      if (waiting.length === 1) void host.sleep(PAUSE_MS).then(write);
    },
    write() {
      write();
      return problem();
    },
    end() {
      waiting = [];
      return problem();
    },
  };
}

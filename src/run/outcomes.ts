// How steps went, for people who look into the journal of an apply that was killed. What was begun is all that a
// roll-back or a down needs: so outcomes are written a few at a time, and not at all once the apply has succeeded.
import type { Host } from '../host/host.ts';
import type { JournalEntry } from './records.ts';

const PAUSE_MS = 20;

export interface Outcomes {
  add(entry: JournalEntry): void;
  /** Writes what was not written yet; @returns why something could not be. */
  write(): Promise<unknown>;
  /** Nothing more is written; @returns why something could not be. */
  end(): Promise<unknown>;
}

/** @param journal writes entries that are handed over together at once. */
export function createOutcomes(host: Host, journal: (entry: JournalEntry) => Promise<void>): Outcomes {
  let waiting: JournalEntry[] = [];
  const written: Promise<unknown>[] = [];
  const write = (): void => {
    // A failure to journal comes back as a value: that of the step is the one to hear of first.
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

// What every campaign is: faults are injected, each is survived or not, and what stays behind is written down.
import type { Random } from './random.ts';

export interface Setting {
  readonly random: Random;
  readonly rounds: number;
  /** Outcomes are entered as they come: a campaign that breaks off has them to show. */
  readonly ledger: Ledger;
  /** For people who wait. */
  say(text: string): void;
}

export interface Campaign {
  readonly name: string;
  /** For the table: what is done to it. */
  readonly title: string;
  /** Without --rounds. */
  readonly rounds: number;
  run(setting: Setting): Promise<void>;
}

export interface Tally {
  /** Faults that hit: a kill that came after the end is none. */
  readonly faults: number;
  readonly survived: number;
  /** What was wrong, a line each; begins with the round. */
  readonly failures: readonly string[];
  /** What was left of the host's objects, as the snapshot writes them. */
  readonly residue: readonly string[];
  /** Versions and the like. */
  readonly notes: readonly string[];
  /** What else is worth knowing, by name. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface Ledger {
  /** Outcome of one fault: nothing went wrong and nothing was left, or what. */
  enter(label: string, outcome: Outcome): void;
  /** The same for faults that were injected at once and are judged together. */
  enterAll(number: number, label: string, outcome: Outcome): void;
  count(what: string, by?: number): void;
  note(text: string): void;
  tally(): Tally;
}

export interface Outcome {
  readonly failures: readonly string[];
  readonly residue: readonly string[];
}

export function openLedger(setting: Pick<Setting, 'say'>): Ledger {
  let faults = 0;
  let survived = 0;
  const failures: string[] = [];
  const residue: string[] = [];
  const counts = new Map<string, number>();
  const notes = new Set<string>();
  const enterAll: Ledger['enterAll'] = (number, label, outcome) => {
    const bad = [...outcome.failures, ...outcome.residue];
    faults += number;
    survived += Math.max(0, number - bad.length);
    if (bad.length > 0) setting.say(`${label}:\n${bad.slice(0, 30).join('\n')}`);
    failures.push(...outcome.failures.map((line) => `${label}: ${line}`));
    residue.push(...outcome.residue.map((line) => `${label}: ${line}`));
  };
  return {
    enter: (label, outcome) => enterAll(1, label, outcome),
    enterAll,
    count: (what, by = 1) => counts.set(what, (counts.get(what) ?? 0) + by),
    note: (text) => void notes.add(text),
    tally: () => ({
      faults,
      survived,
      failures,
      residue,
      notes: [...notes],
      counts: Object.fromEntries(counts),
    }),
  };
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

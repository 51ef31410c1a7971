import { beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { createOutcomes, type Outcomes } from '../../src/run/outcomes.ts';
import type { JournalEntry } from '../../src/run/records.ts';

describe('outcomes of steps', () => {
  let wake: () => void;
  let written: string[];
  let broken: Error | undefined;
  let outcomes: Outcomes;

  const entry = (step: string): JournalEntry => ({ event: 'done', direction: 'apply', step });
  const journal = async ({ step }: JournalEntry): Promise<void> => {
    if (broken !== undefined) throw broken;
    written.push(step);
  };

  beforeEach(() => {
    written = [];
    broken = undefined;
    const sleep = (): Promise<void> => new Promise((resolve) => (wake = resolve));
    outcomes = createOutcomes({ sleep } as unknown as Host, journal);
  });

  it('are written together after a while, while the apply goes on', async () => {
    outcomes.add(entry('one'));
    outcomes.add(entry('two'));
    expect(written).toEqual([]);
    wake();
    await expect.poll(() => written).toEqual(['one', 'two']);
    outcomes.add(entry('three'));
    wake();
    await expect.poll(() => written).toEqual(['one', 'two', 'three']);
  });

  it('are all there when the apply has failed', async () => {
    outcomes.add(entry('one'));
    expect(await outcomes.write()).toBeUndefined();
    expect(written).toEqual(['one']);
    wake();
    expect(await outcomes.end()).toBeUndefined();
    expect(written).toEqual(['one']);
  });

  it('are of no use any more when it has succeeded', async () => {
    outcomes.add(entry('one'));
    expect(await outcomes.end()).toBeUndefined();
    wake();
    expect(await outcomes.write()).toBeUndefined();
    expect(written).toEqual([]);
  });

  it('that cannot be written are told of at the end', async () => {
    broken = new Error('disk full');
    outcomes.add(entry('one'));
    wake();
    await Promise.resolve();
    broken = undefined;
    outcomes.add(entry('two'));
    expect(await outcomes.end()).toEqual(new Error('disk full'));
  });
});

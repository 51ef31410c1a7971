// A disk that turns read-only in the middle, as ext4 does after an error: what is the kernel's goes back all the same.
import { describe, expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import { createFakeMachine } from '../support/fake/machine.ts';
import { apply, dataDir, down, runspec } from './one-runspec.ts';
import { planOf } from './plans.ts';
import { difference, isStable } from './walk.ts';

const web = planOf('web', '10.209.0.2', 8080);
const elsewhere = planOf('web', '10.209.0.2', 8081);

const isOfKernel = (line: string): boolean => !line.startsWith(dataDir);

describe('a disk that turns read-only', () => {
  it.each([
    ['a first apply', [], apply(web)],
    ['an apply of a changed spec', [web], apply(elsewhere)],
  ])('keeps nothing of the kernel up in %s that failed', async (_what, given, work) => {
    const prepare = async () => {
      const machine = createFakeMachine();
      expect((await runspec(machine, apply(...given))).end).toBe('done');
      return machine;
    };
    const whole = await prepare();
    const total = (await runspec(whole, work)).gate.count;
    const done = whole.dump().filter(isOfKernel);
    const clean = createFakeMachine().dump();
    const left: string[] = [];
    for (let at = 1; at <= total; at += 1) {
      const machine = await prepare();
      const before = machine.dump().filter(isOfKernel);
      const { error, gate } = await runspec(machine, work, { at, how: 'read-only', folder: dataDir });
      const when = gate.changes[at - 1] ?? '';
      // What is recorded as applied stays: only what comes after that failed.
      // The lock, before and after all that.
      if (/(?:\.lock|mkdir \S+\/runspec)$/.test(when)) continue;
      const isUp = !(error instanceof OperationError) || error.hint?.startsWith('it is up') === true;
      const lines = difference(isUp ? done : before, machine.dump().filter(isOfKernel));
      left.push(...lines.filter(isStable).map((line) => `${when}: ${line}`));
      expect((await runspec(machine, down('web'))).error).toBeUndefined();
      left.push(...difference(clean, machine.dump()).map((line) => `${when}, after down: ${line}`));
    }
    expect(left).toEqual([]);
  });
});

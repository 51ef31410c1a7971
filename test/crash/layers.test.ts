// An update with another layer: until that is whole in the store, nothing of what is up is touched, and no record changes.
import { describe, expect, it, vi } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import * as here from './one-runspec.ts';
import { planOf } from './plans.ts';
import { difference, isStable } from './walk.ts';

const { apply, dataDir, down, runspec } = here;

/** A process of its own: one that is killed keeps its turns at the making of layers. */
async function anotherProcess(): Promise<typeof here> {
  vi.resetModules();
  return import('./one-runspec.ts');
}

/** The container over a layer with one file. */
function over(digit: string): Plan {
  const web = planOf('web', '10.209.0.2', 8080);
  const key = digit.repeat(64);
  const path = `${dataDir}/images/layers/${key}`;
  const files = { '/srv/version': { text: digit, mode: 0o644, uid: 0, gid: 0 } };
  return {
    ...web,
    specDigest: `digest of web over ${digit}`,
    steps: [
      {
        id: `layer:${digit}`,
        op: 'layer',
        layer: { kind: 'files', key, path, files, lower: [] },
        needs: [],
        after: [],
        shared: true,
      },
      ...web.steps.map((step) =>
        step.op === 'overlay'
          ? { ...step, lower: [...step.lower, path], needs: [...step.needs, `layer:${digit}`] }
          : step,
      ),
    ],
  };
}

const [former, next] = [over('a'), over('b')];
const isInStore = (text: string): boolean => text.includes(`${dataDir}/images`);
const isLock = (text: string): boolean => text.includes(`${dataDir}/.lock`);
const dumpOf = (machine: FakeMachine): readonly string[] =>
  machine.dump().filter((line) => !isInStore(line) && !isLock(line) && !line.startsWith(`${dataDir} `));

async function withFormer(): Promise<FakeMachine> {
  const machine = createFakeMachine();
  expect((await runspec(machine, apply(former))).error).toBeUndefined();
  return machine;
}

const clean = dumpOf(createFakeMachine());
const whole = await withFormer();
const { changes } = (await runspec(whole, apply(next))).gate;
const lastInStore = changes.findLastIndex(isInStore) + 1;

describe('an update with another layer', () => {
  it('makes it before the first other change', () => {
    expect(changes.slice(0, lastInStore).filter((one) => !isInStore(one) && !isLock(one))).toEqual([]);
    expect(changes.slice(lastInStore)).toContainEqual(expect.stringContaining('pending.json'));
  });

  it.each(['fail', 'die'] as const)('leaves all as it was when it cannot (%s)', async (how) => {
    const left: string[] = [];
    for (let at = 1; at <= lastInStore; at += 1) {
      const when = `${how} in ${changes[at - 1]}`;
      const machine = await withFormer();
      const before = dumpOf(machine);
      const other = await anotherProcess();
      const { end } = await other.runspec(machine, other.apply(next), { at, how });
      expect(end).not.toBe('done');
      left.push(...difference(before, dumpOf(machine)).map((line) => `${when}: ${line}`));
      expect((await runspec(machine, apply(next))).error).toBeUndefined();
      const isRecord = (line: string): boolean => line.startsWith(`${dataDir}/containers/web/plan.json`);
      const unlike = difference(dumpOf(whole), dumpOf(machine)).filter((line) => !isRecord(line.slice(2)));
      left.push(...unlike.map((line) => `${when}, and again: ${line}`));
      expect((await runspec(machine, down('web'))).error).toBeUndefined();
      left.push(...difference(clean, dumpOf(machine)).map((line) => `${when}, after down: ${line}`));
    }
    expect(left).toEqual([]);
  });

  it('goes back to the former one when anything else fails', async () => {
    const left: string[] = [];
    for (let at = lastInStore + 1; at <= changes.length; at += 1) {
      const machine = await withFormer();
      const before = dumpOf(machine).filter(isStable);
      const { end } = await runspec(machine, apply(next), { at, how: 'fail' });
      const isLate = /^unlink .*(pending\.json|journal\.jsonl|\.lock)/.test(changes[at - 1] ?? '');
      if (end === 'done' || isLate) continue;
      const lines = difference(before, dumpOf(machine).filter(isStable));
      left.push(...lines.map((line) => `${changes[at - 1]} failed: ${line}`));
      expect((await runspec(machine, down('web'))).error).toBeUndefined();
      left.push(
        ...difference(clean, dumpOf(machine)).map((line) => `${changes[at - 1]}, after down: ${line}`),
      );
    }
    expect(left).toEqual([]);
  });
});

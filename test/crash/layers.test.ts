// An update with another layer: until that is whole in the store, and its mount points were tried, nothing of what is up is
// touched, and no record changes.
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

const folder = `${dataDir}/containers/web`;
const mountpoints = `${folder}/mountpoints`;

/** The container over a layer with one file, and one of mount points. */
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
      {
        id: 'mountpoints',
        op: 'mountpoints',
        path: mountpoints,
        lower: [path],
        targets: [{ path: '/etc/hosts', type: 'file', symlinks: 'replace' }],
        needs: [`layer:${digit}`],
        after: [],
      },
      ...web.steps.map((step) =>
        step.op === 'overlay'
          ? { ...step, lower: [path, mountpoints], needs: [...step.needs, `layer:${digit}`, 'mountpoints'] }
          : step,
      ),
    ],
  };
}

const [former, next] = [over('a'), over('b')];
const isInStore = (text: string): boolean => text.includes(`${dataDir}/images`);
const isLock = (text: string): boolean => text.includes(`${dataDir}/.lock`);
const isTrial = (text: string): boolean => text.includes(`${folder}/trial`);
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
const ahead = changes.findLastIndex((one) => isInStore(one) || isTrial(one)) + 1;

describe('an update with another layer', () => {
  it('makes it, and tries the rest, before the first other change', () => {
    const others = changes.slice(0, ahead).filter((one) => !isInStore(one) && !isTrial(one) && !isLock(one));
    expect(others).toEqual([]);
    expect(changes.slice(ahead)).toContainEqual(expect.stringContaining('pending.json'));
  });

  it.each(['fail', 'die'] as const)('leaves all as it was when it cannot (%s)', async (how) => {
    const left: string[] = [];
    for (let at = 1; at <= ahead; at += 1) {
      const when = `${how} in ${changes[at - 1]}`;
      const machine = await withFormer();
      const before = dumpOf(machine);
      const other = await anotherProcess();
      const { end } = await other.runspec(machine, other.apply(next), { at, how });
      expect(end).not.toBe('done');
      const found = dumpOf(machine).filter((line) => !isTrial(line));
      left.push(...difference(before, found).map((line) => `${when}: ${line}`));
      expect((await runspec(machine, apply(next))).error).toBeUndefined();
      const isRecord = (line: string): boolean => line.startsWith(`${folder}/plan.json`);
      const unlike = difference(dumpOf(whole), dumpOf(machine)).filter((line) => !isRecord(line.slice(2)));
      left.push(...unlike.map((line) => `${when}, and again: ${line}`));
      expect((await runspec(machine, down('web'))).error).toBeUndefined();
      left.push(...difference(clean, dumpOf(machine)).map((line) => `${when}, after down: ${line}`));
    }
    expect(left).toEqual([]);
  });

  it('goes back to the former one when anything else fails', async () => {
    const left: string[] = [];
    for (let at = ahead + 1; at <= changes.length; at += 1) {
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

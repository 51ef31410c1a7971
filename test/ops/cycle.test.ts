// What every kind of step promises: apply, again without a change, revert, again without a change, and
// the machine is as it was.
import { describe, expect, it } from 'vitest';
import { createFakeOps, type FakeOps } from './fake-context.ts';
import { FOUNDATIONS, stepOf, STEPS, type TestedKind } from './steps.ts';

async function prepare(kind: TestedKind): Promise<FakeOps> {
  const ops = createFakeOps();
  const { files } = ops.machine;
  for (const folder of ['/srv', '/srv/a:b', '/srv/c,d', '/run/root', '/run/upper', '/run/work'])
    files.makeDirectory(folder);
  for (const below of FOUNDATIONS[kind] ?? []) await ops.apply(stepOf(below));
  return ops;
}

const KINDS = Object.keys(STEPS) as TestedKind[];
/** ip_forward counts as drift, since the file is always there; an address goes with its interface. */
const ALWAYS_THERE: readonly TestedKind[] = ['sysctl'];
const GOES_WITH_ANOTHER: readonly TestedKind[] = ['address'];

describe.each(KINDS)('%s', (kind) => {
  const step = stepOf(kind);

  it('is absent, then present, and a second apply changes nothing', async () => {
    const ops = await prepare(kind);
    expect((await ops.probe(step)).state).toBe(ALWAYS_THERE.includes(kind) ? 'drifted' : 'absent');
    const before = await ops.apply(step);
    expect(await ops.probe(step)).toMatchObject({ state: 'present' });
    const after = ops.machine.dump();
    // A kill after the last effect: apply runs on what is there in whole.
    await ops.apply(step, before);
    expect(await ops.probe(step)).toMatchObject({ state: 'present' });
    expect(ops.machine.dump()).toEqual(after);
  });

  it('changes nothing when it is reverted though it was never made', async () => {
    const ops = createFakeOps();
    expect((await ops.revert(step)).outcome).toBe('gone');
    expect(ops.changes()).toEqual([]);
  });
});

describe.each(KINDS.filter((kind) => !GOES_WITH_ANOTHER.includes(kind)))('%s', (kind) => {
  const step = stepOf(kind);

  it('is gone after a revert, once and for all', async () => {
    const ops = await prepare(kind);
    const clean = ops.machine.dump();
    const before = await ops.apply(step);
    expect(await ops.revert(step, before)).toEqual({ outcome: 'removed' });
    // The table goes on saying that somebody has put something into it.
    const isOfTable = (line: string): boolean => line.startsWith('nft element runspec touched ');
    expect(ops.machine.dump().filter((line) => !isOfTable(line))).toEqual(clean);
    const count = ops.changes().length;
    expect(await ops.revert(step, before)).toEqual({ outcome: 'gone' });
    expect(ops.changes().slice(count)).toEqual([]);
  });
});

describe.each(GOES_WITH_ANOTHER)('%s', (kind) => {
  it('is left where it is by a revert: it goes with what it stands on', async () => {
    const ops = await prepare(kind);
    const before = await ops.apply(stepOf(kind));
    const count = ops.changes().length;
    await ops.revert(stepOf(kind), before);
    expect(ops.changes().slice(count)).toEqual([]);
  });
});

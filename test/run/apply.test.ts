// What an apply leaves behind: when it is through, when it failed, when it was interrupted.
import { describe, expect, it } from 'vitest';
import { InterruptedError } from '../../src/errors.ts';
import type { Plan, Step } from '../../src/plan/plan.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, changesOf, DATA, down, open } from './fake-session.ts';

const web = planOf('web', '10.209.0.2', 8080);
/** Cannot be made: its parent is a file. */
const broken: Step = {
  id: 'dir:broken',
  op: 'directory',
  path: '/etc/file/below',
  mode: 0o755,
  removal: 'tree',
  needs: [],
  after: web.steps.map((step) => step.id),
};

const last: Step = { ...broken, id: 'dir:last', path: '/run/runspec/web/last' };

/** An apply to which a signal comes when it has done this step. */
async function interruptedAfter(
  machine: FakeMachine,
  id: string,
): Promise<{ readonly plan: Plan; readonly begun: Promise<unknown> }> {
  const controller = new AbortController();
  const session = await open(machine, undefined, controller.signal);
  const plan = { ...web, steps: [...web.steps, last] };
  const begun = apply(session, plan, false, ({ step }) => {
    if (step.id === id) controller.abort('SIGTERM');
  });
  begun.catch(() => undefined);
  return { plan, begun };
}

describe('an apply', () => {
  it('that fails says what failed, and gives back the limits that it had set on a running container', async () => {
    const machine = createFakeMachine();
    machine.files.put('/etc/file', '');
    await apply(await open(machine), web);
    const clean = machine.dump();
    const limit = '/sys/fs/cgroup/unified/runspec/web/pids.max';
    const limited: Plan = {
      ...web,
      specDigest: 'limited',
      steps: [
        ...web.steps.map((step) =>
          step.op === 'cgroup'
            ? {
                ...step,
                hierarchies: step.hierarchies.map((one) =>
                  one.version === 2 ? { ...one, files: [{ name: 'pids.max', value: '7' }] } : one,
                ),
              }
            : step,
        ),
        broken,
      ],
    };
    await expect(apply(await open(machine), limited)).rejects.toMatchObject({
      step: 'dir:broken',
      cleanup: [],
    });
    expect(machine.files.read(limit)).toBe('max\n');
    const isRecord = (line: string): boolean => line.startsWith(`${DATA}/containers/web/plan.json`);
    expect(machine.dump().filter((line) => !isRecord(line))).toEqual(clean.filter((line) => !isRecord(line)));
    const session = await open(machine);
    expect((await changesOf(session, web)).every((change) => change.action === 'none')).toBe(true);
    expect(await down(session, 'web')).toEqual([]);
  });

  it('that cannot repair something says so once, and has left nothing', async () => {
    const machine = createFakeMachine();
    const folder = '/run/runspec/web/folder';
    const below: Step = { ...broken, path: `${folder}/below` };
    const plan = { ...web, steps: [...web.steps, below] };
    await apply(await open(machine), plan);
    machine.files.drop(folder);
    machine.files.put(folder, '');
    await expect(apply(await open(machine), plan)).rejects.toMatchObject({ step: below.id, cleanup: [] });
    expect((await (await open(machine)).records.read('web'))?.pending).toBeUndefined();
  });

  it('that fails keeps what it made when it is told to, and goes on from there', async () => {
    const machine = createFakeMachine();
    machine.files.put('/etc/file', '');
    const plan = { ...web, steps: [...web.steps, broken] };
    await expect(apply(await open(machine), plan, true)).rejects.toMatchObject({ step: 'dir:broken' });
    expect(machine.mounts.has('/run/runspec/web/rootfs')).toBe(true);
    await apply(await open(machine), web);
    expect((await (await open(machine)).records.read('web'))?.pending).toBeUndefined();
  });

  it.each([true, false])('that is interrupted says so, whether it keeps (%j) or not', async (keep) => {
    const machine = createFakeMachine();
    const clean = machine.dump();
    const controller = new AbortController();
    controller.abort('SIGTERM');
    const session = await open(machine, undefined, controller.signal);
    const error: unknown = await apply(session, web, keep).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(InterruptedError);
    expect((error as InterruptedError).signal).toBe('SIGTERM');
    // Nothing was begun: there is nothing to keep but the record of it.
    expect(machine.dump().filter((line) => !line.startsWith(DATA))).toEqual(clean);
  });

  it('that is interrupted on its way is rolled back', async () => {
    const machine = createFakeMachine();
    const clean = machine.dump();
    const { begun } = await interruptedAfter(machine, 'cgroup');
    await expect(begun).rejects.toBeInstanceOf(InterruptedError);
    expect(machine.dump()).toEqual(clean);
  });

  it('that fails tells why, though a signal comes while it is being rolled back', async () => {
    const machine = createFakeMachine();
    machine.files.put('/etc/file', '');
    const controller = new AbortController();
    const session = await open(machine, undefined, controller.signal);
    const begun = apply(session, { ...web, steps: [...web.steps, broken] }, false, ({ outcome }) => {
      if (outcome === 'removed') controller.abort('SIGINT');
    });
    await expect(begun).rejects.toMatchObject({ name: 'OperationError', step: 'dir:broken', cleanup: [] });
    expect(controller.signal.aborted).toBe(true);
  });

  it('that is interrupted after its last step is finished: to stop a process may take long', async () => {
    const machine = createFakeMachine();
    const { begun, plan } = await interruptedAfter(machine, last.id);
    await begun;
    const session = await open(machine);
    expect((await session.records.read('web'))?.pending).toBeUndefined();
    expect((await changesOf(session, plan)).every((change) => change.action === 'none')).toBe(true);
  });

  it('reports each step once with its outcome, and nothing when there is nothing to do', async () => {
    const machine = createFakeMachine();
    const reports = await apply(await open(machine), web);
    expect(reports.map((report) => report.step.id).toSorted()).toEqual(
      web.steps.map((step) => step.id).toSorted(),
    );
    expect(reports.every((report) => report.outcome === 'done' && report.milliseconds > 0)).toBe(true);
    expect(await apply(await open(machine), web)).toEqual([]);
  });

  it('moves with its state folder', async () => {
    const machine = createFakeMachine();
    const moved = JSON.parse(JSON.stringify(web).replaceAll('/run/runspec', '/run/other')) as Plan;
    await apply(await open(machine), web);
    const session = await open(machine, undefined, undefined, '/run/other');
    await apply(session, { ...moved, specDigest: web.specDigest });
    expect(machine.mounts.has('/run/runspec/web/rootfs')).toBe(false);
    expect(machine.mounts.has('/run/other/web/rootfs')).toBe(true);
  });
});

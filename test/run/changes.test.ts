// What is decided for each step: by the kernel, by what was applied, and by what it stands on.
import { describe, expect, it } from 'vitest';
import type { Plan, Step } from '../../src/plan/plan.ts';
import { hasEffect } from '../../src/run/changes.ts';
import { planOf } from '../crash/plans.ts';
import { STEPS } from '../ops/steps.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, changesOf, open } from './fake-session.ts';

const web = planOf('web', '10.209.0.2', 8080);

async function up(plan: Plan = web): Promise<FakeMachine> {
  const machine = createFakeMachine();
  await apply(await open(machine), plan);
  return machine;
}

/** `action id` of all that is not left as it is, with the reason. */
async function decided(machine: FakeMachine, plan: Plan = web): Promise<readonly string[]> {
  const changes = await changesOf(await open(machine), plan);
  return changes
    .filter((change) => change.action !== 'none')
    .map(({ action, step, reason }) => `${action} ${step.id}${reason === undefined ? '' : `: ${reason}`}`);
}

const withSteps = (change: (step: Step) => Step | undefined): Plan => ({
  ...web,
  steps: web.steps.flatMap((step) => change(step) ?? []),
});

describe('what is to be done', () => {
  it('is everything on an empty machine, in the order of the plan', async () => {
    const machine = createFakeMachine();
    const expected = web.steps.map((step) => (step.op === 'sysctl' ? 'update' : 'create'));
    const changes = await changesOf(await open(machine), web);
    expect(changes.map((change) => change.step.id)).toEqual(web.steps.map((step) => step.id));
    expect(changes.map((change) => change.action)).toEqual(expected);
  });

  it('is nothing once it is done', async () => {
    const machine = await up();
    expect(await decided(machine)).toEqual([]);
    expect(hasEffect(await changesOf(await open(machine), web))).toBe(false);
  });

  it('is to make again what is gone, and only that', async () => {
    const machine = await up();
    machine.firewall.load('delete table inet runspec\n');
    expect(await decided(machine)).toEqual([
      'create nft-table:runspec: it is gone from the host',
      'create nft:networks: it is gone from the host',
      'create nat:10.209.0.2: it is gone from the host',
      'create port:tcp/8080: it is gone from the host',
    ]);
  });

  it('is to mend in place what differs, with what was found', async () => {
    const machine = await up();
    machine.network.run('', ['link', 'set', 'dev', 'runspec0', 'mtu', '900']);
    expect(await decided(machine)).toEqual(['update bridge:runspec0: mtu: 900 -> 1500']);
  });

  it('names what was changed in the spec', async () => {
    const machine = await up();
    const changed = withSteps((step) => (step.op === 'file' ? { ...step, inPlace: false } : step));
    expect(await decided(machine, changed)).toEqual(['update file:hosts: changed in the spec: inPlace']);
  });

  it('takes what stands on something made anew with it, but not what only comes after it', async () => {
    const machine = await up(
      withSteps((step) =>
        step.op === 'veth' ? { ...step, needs: ['netns'], after: ['bridge:runspec0'] } : step,
      ),
    );
    const plan = withSteps((step) => {
      if (step.op === 'veth') return { ...step, needs: ['netns'], after: ['bridge:runspec0'] };
      return step.op === 'overlay' ? { ...step, lower: ['/opt'] } : step;
    });
    machine.network.run('', ['link', 'set', 'dev', 'rs00000000', 'nomaster']);
    machine.network.run('', ['link', 'del', 'dev', 'runspec0']);
    expect(await decided(machine, plan)).toEqual([
      'replace mount:rootfs: changed in the spec: lower',
      'create bridge:runspec0: it is gone from the host',
      'update veth:eth0: master: none -> runspec0',
    ]);
    machine.network.removeNamespace('runspec-web');
    machine.mounts.remove('/run/netns/runspec-web');
    expect(await decided(machine)).toContain('create netns: it is gone from the host');
  });

  it('leaves a cgroup where it is when a controller that it needs was switched off', async () => {
    const controller: Step = { ...STEPS.controller, id: 'controller:hugetlb', controller: 'hugetlb' };
    const plan: Plan = {
      ...web,
      steps: [
        controller,
        ...web.steps.map((step) => (step.op === 'cgroup' ? { ...step, needs: [controller.id] } : step)),
      ],
    };
    const machine = await up(plan);
    machine.files.write('/sys/fs/cgroup/unified/cgroup.subtree_control', '-hugetlb');
    expect(await decided(machine, plan)).toEqual(['create controller:hugetlb: it is gone from the host']);
  });

  it('replaces what needs a step that is made anew', async () => {
    const machine = await up();
    const plan = withSteps((step) => {
      if (step.op === 'overlay') return { ...step, lower: ['/opt'] };
      return step.op === 'file' ? { ...step, needs: ['mount:rootfs'] } : step;
    });
    expect(await decided(machine, plan)).toEqual([
      'replace mount:rootfs: changed in the spec: lower',
      'replace file:hosts: mount:rootfs is made anew (changed in the spec: lower)',
    ]);
  });

  it('never replaces a shared thing because of what it stands on', async () => {
    const machine = await up();
    const plan = withSteps((step) => {
      if (step.op === 'overlay') return { ...step, lower: ['/opt'] };
      return step.op === 'bridge' ? { ...step, needs: ['mount:rootfs'] } : step;
    });
    expect(await decided(machine, plan)).toEqual(['replace mount:rootfs: changed in the spec: lower']);
  });

  it('deletes first what is no longer in the spec, last things first', async () => {
    const machine = await up();
    const plan = withSteps((step) => (step.op === 'nft-element' && step.shared !== true ? undefined : step));
    expect(await decided(machine, plan)).toEqual([
      'delete port:tcp/8080: no longer in the spec',
      'delete nat:10.209.0.2: no longer in the spec',
    ]);
  });

  it('takes away the former thing when the step has moved to another place', async () => {
    const machine = await up();
    const plan = withSteps((step) => (step.op === 'file' ? { ...step, path: '/run/elsewhere' } : step));
    expect(await decided(machine, plan)).toEqual(['replace file:hosts: changed in the spec: path']);
    await apply(await open(machine), plan);
    expect(machine.files.find('/var/lib/runspec/containers/web/log')).toBeUndefined();
    expect(machine.files.read('/run/elsewhere')).toBe('127.0.0.1 localhost\n');
  });

  it('includes what an apply that was killed had added beyond the plan', async () => {
    const machine = await up();
    const session = await open(machine);
    const more: Step = {
      ...web.steps[1],
      id: 'dir:more',
      op: 'directory',
      path: '/run/runspec/web/more',
    } as Step;
    await session.records.begin(
      { ...web, steps: [...web.steps, more] },
      await session.records.read('web'),
      'web.yaml',
    );
    machine.files.makeDirectory('/run/runspec/web/more');
    expect(await decided(machine)).toEqual(['delete dir:more: no longer in the spec']);
  });
});

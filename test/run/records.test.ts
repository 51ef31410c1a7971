import { describe, expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { createRecords, recordedSteps, type Records } from '../../src/run/records.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate } from '../support/fake/gate.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';

const DATA = '/var/lib/runspec';
const folder = `${DATA}/containers/web`;
const web = planOf('web', '10.209.0.2', 8080);
const changed = planOf('web', '10.209.0.2', 9090);

const PROCESS = {
  id: 'process',
  op: 'process',
  needs: [],
  after: [],
  container: 'web',
  bundle: `${folder}/bundle`,
  runtime: { name: 'runc', path: '/usr/sbin/runc' },
  runtimeRoot: '/run/runspec/web/runtime',
  records: folder,
  log: `${folder}/log`,
  terminal: false,
  stopSignal: 'SIGTERM',
  stopTimeout: 0,
  cgroup: '/runspec/web',
} as const;

function prepare(): { machine: FakeMachine; host: Host; records: Records } {
  const machine = createFakeMachine();
  const host = createFakeHost(machine, createGate());
  return { machine, host, records: createRecords(host, DATA, 'this boot') };
}

describe('the record of a container', () => {
  it('holds the plan and what was before it once it is applied', async () => {
    const { records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    await records.journal('web', {
      event: 'intent',
      direction: 'apply',
      step: 'dir:upper',
      before: { existed: false },
    });
    const begun = await records.read('web');
    expect(begun).toMatchObject({
      applied: undefined,
      pending: web,
      before: { 'dir:upper': { existed: false } },
    });
    await records.finish(web, { 'dir:upper': { existed: false } }, 'web.yaml');
    await records.settle(web.name);
    expect(await records.read('web')).toMatchObject({
      bootId: 'this boot',
      specFile: 'web.yaml',
      applied: web,
      pending: undefined,
      before: { 'dir:upper': { existed: false } },
    });
    expect(await records.names()).toEqual(['web']);
  });

  it('tells of what was before in another boot only where that is on the disk', async () => {
    const { host, records } = prepare();
    const before = { 'dir:upper': { existed: true }, 'bridge:runspec0': { existed: false } };
    await records.begin(web, undefined, 'web.yaml');
    await records.finish(web, before, 'web.yaml');
    await records.settle(web.name);
    const next = createRecords(host, DATA, 'next boot');
    const former = await next.read('web');
    expect(former).toMatchObject({ appliedIn: 'this boot', before: { 'dir:upper': { existed: true } } });
    expect(former?.before).not.toHaveProperty('bridge:runspec0');
    await next.begin(changed, former, 'web.yaml');
    await next.journal('web', {
      event: 'intent',
      direction: 'apply',
      step: 'bridge:runspec0',
      before: { existed: true },
    });
    expect(await next.read('web')).toMatchObject({
      bootId: 'next boot',
      appliedIn: 'this boot',
      before: { 'dir:upper': { existed: true }, 'bridge:runspec0': { existed: true } },
    });
    // And of that nothing to the boot after it.
    const last = await createRecords(host, DATA, 'last boot').read('web');
    expect(last?.before).toEqual({ 'dir:upper': { existed: true } });
  });

  it('has the steps of both plans while one follows the other, each once', async () => {
    const { records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    await records.finish(web, {}, 'web.yaml');
    await records.settle(web.name);
    await records.begin(changed, await records.read('web'), 'web.yaml');
    const record = await records.read('web');
    const ids = record === undefined ? [] : recordedSteps(record).map((step) => step.id);
    expect(ids).toContain('port:tcp/8080');
    expect(ids).toContain('port:tcp/9090');
    expect(ids.filter((id) => id === 'bridge:runspec0')).toHaveLength(1);
  });

  it('goes back to the applied plan when the next one is given up', async () => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    await records.finish(web, {}, 'web.yaml');
    await records.settle(web.name);
    const former = await records.read('web');
    await records.begin(changed, former, 'web.yaml');
    if (former !== undefined) await records.abandon(former);
    expect(await records.read('web')).toMatchObject({ applied: web, pending: undefined });
    expect(machine.files.names(folder)).toEqual(['plan.json']);
  });

  it('is read with a journal whose last line a kill has cut', async () => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    const line = '{"event":"intent","direction":"apply","step":"dir:upper","before":{"existed":true}}';
    machine.files.put(`${folder}/journal.jsonl`, `${line}\n{"event":"intent","dir`);
    expect((await records.read('web'))?.before).toEqual({ 'dir:upper': { existed: true } });
  });

  it('keeps the first look at what was before', async () => {
    const { records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    for (const existed of [false, true])
      await records.journal('web', {
        event: 'intent',
        direction: 'apply',
        step: 'dir:upper',
        before: { existed },
      });
    expect((await records.read('web'))?.before).toEqual({ 'dir:upper': { existed: false } });
  });

  it.each([
    ['nothing', ''],
    ['half of it', '{"version":1,"bootId":"x","pl'],
    ['null', 'null'],
    ['a number', '7'],
    ['a record without a plan', '{"version":1}'],
    ['a plan without steps', '{"version":1,"plan":{}}'],
  ])('that holds %s counts as none, and can be set aside', async (_, text) => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    await records.finish(web, {}, 'web.yaml');
    await records.settle(web.name);
    machine.files.put(`${folder}/plan.json`, text);
    expect(await records.read('web')).toBeUndefined();
    const found = await records.look('web');
    expect(found.faults).toEqual([{ kind: 'unreadable', path: `${folder}/plan.json` }]);
    await records.setAside(found);
    expect(await records.look('web')).toEqual({ record: undefined, faults: [] });
    expect(machine.files.read(`${folder}/plan.json.unreadable`)).toBe(text);
  });

  it('with any one letter changed counts as none, or says the same', async () => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    await records.finish(web, {}, 'web.yaml');
    await records.settle(web.name);
    const whole = await records.read('web');
    const text = machine.files.read(`${folder}/plan.json`) ?? '';
    for (let at = 0; at < text.length; at += 3) {
      machine.files.put(`${folder}/plan.json`, `${text.slice(0, at)}\u{fffd}${text.slice(at + 1)}`);
      const { record, faults } = await records.look('web');
      const seen = record ?? faults.map(({ kind }) => kind);
      expect([whole, ['unreadable']]).toContainEqual(seen);
    }
    expect(text.length).toBeGreaterThan(100);
  });

  it('is read by its one whole plan when the other is damaged', async () => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    await records.finish(web, {}, 'web.yaml');
    await records.settle(web.name);
    machine.files.put(`${folder}/pending.json`, '{"version":1,');
    expect(await records.read('web')).toMatchObject({ applied: web, pending: undefined });
  });

  it('of the first runspec, which knew of one phase to wait for, is read as what it means now', async () => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    const awaiting = (awaits: unknown): unknown => ({
      ...web,
      steps: [...web.steps, { ...PROCESS, awaits }],
    });
    const stored = { version: 1, bootId: '', before: {}, specFile: '', at: 0, plan: awaiting(['dir:upper']) };
    machine.files.put(`${folder}/plan.json`, JSON.stringify(stored));
    expect((await records.read('web'))?.applied).toEqual(awaiting({ create: [], start: ['dir:upper'] }));
  });

  it('of another version is an error that names the file and says what to do', async () => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    machine.files.put(`${folder}/plan.json`, '{"version":99,"plan":{"steps":[]}}');
    await expect(records.read('web')).rejects.toMatchObject({
      name: 'OperationError',
      message: expect.stringContaining(`the record ${folder}/plan.json`) as string,
      hint: expect.stringMatching(/.../) as string,
    });
  });

  it('of a copied data folder is an error that names the place of the container', async () => {
    const { host, machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    const process = { ...PROCESS, records: '/srv/runspec/containers/web' };
    await records.begin({ ...web, steps: [...web.steps, process] }, undefined, 'web.yaml');
    await expect(records.read('web')).rejects.toThrow('is of a container in /srv/runspec');
    machine.files.makeDirectory('/srv');
    machine.files.makeDirectory('/srv/runspec');
    const there = createRecords(host, '/srv/runspec', 'this boot');
    await there.begin({ ...web, steps: [process] }, undefined, 'web.yaml');
    // The paths of its other folders would still be the first one's.
    expect(await there.read('web')).toBeUndefined();
  });

  it.each([
    ['a folder outside', { op: 'directory', path: '/home', mode: 0o755, removal: 'tree' }],
    ['a folder of all containers', { op: 'directory', path: `${DATA}/containers`, mode: 0, removal: 'tree' }],
    [
      'a folder of another container',
      { op: 'directory', path: `${DATA}/containers/db`, mode: 0, removal: 'tree' },
    ],
    ['the image store', { op: 'directory', path: `${DATA}/images`, mode: 0, removal: 'volume' }],
    ['a way out', { op: 'directory', path: `${folder}/../../../../../etc`, mode: 0, removal: 'tree' }],
    ['a file outside', { op: 'file', path: '/etc/passwd', text: '', mode: 0, inPlace: true }],
    ['mount points outside', { op: 'mountpoints', path: '/usr', lower: [], targets: [] }],
    ['a mount outside', { op: 'overlay', target: '/', lower: [] }],
    ['another namespace', { op: 'netns', name: 'vpn' }],
    ['another cgroup', { op: 'cgroup', path: '/system.slice', hierarchies: [] }],
    ['a sysctl with a path', { op: 'sysctl', key: 'net/../../etc/passwd', value: '1' }],
    ['a step without its path', { op: 'directory', mode: 0, removal: 'tree' }],
    ['a step that waits for itself', { op: 'netns-folder', needs: ['odd'] }],
  ])('that names %s is not acted on', async (_, fields) => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    const text = machine.files.read(`${folder}/pending.json`) ?? '';
    const odd = { id: 'odd', needs: [], after: [], ...fields };
    const stored = JSON.parse(text) as { plan: { steps: unknown[] } };
    stored.plan.steps.push(odd);
    machine.files.put(`${folder}/pending.json`, JSON.stringify(stored));
    expect(await records.look('web')).toMatchObject({ record: undefined, faults: [{ kind: 'unreadable' }] });
  });

  it.each([
    'null',
    '7',
    '{"event":"intent"}',
    '{"event":"intent","step":"dir:upper","before":["x"]}',
    '\0\0',
  ])('is read with the line %j in its journal', async (line) => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    const good = '{"event":"intent","direction":"apply","step":"dir:work","before":{"existed":true}}';
    machine.files.put(`${folder}/journal.jsonl`, `${line}\n${good}\n`);
    expect((await records.read('web'))?.before).toEqual({ 'dir:work': { existed: true } });
  });

  it('is forgotten with all that lies in its folder, and the folders above when they are empty', async () => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    machine.files.makeDirectory(`${folder}/etc`);
    await records.remove('web');
    expect(await records.read('web')).toBeUndefined();
    expect(machine.files.find(DATA)).toBeUndefined();
  });
});

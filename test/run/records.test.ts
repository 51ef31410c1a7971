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
    expect(await records.read('web')).toMatchObject({
      bootId: 'this boot',
      specFile: 'web.yaml',
      applied: web,
      pending: undefined,
      before: { 'dir:upper': { existed: false } },
    });
    expect(await records.names()).toEqual(['web']);
  });

  it('has the steps of both plans while one follows the other, each once', async () => {
    const { records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    await records.finish(web, {}, 'web.yaml');
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
    ['a record without a plan', '{"version":1}'],
    ['a plan without steps', '{"version":1,"plan":{}}'],
    ['another version', '{"version":99,"plan":{"steps":[]}}'],
  ])('that holds %s is an error that names the file and says what to do', async (_, text) => {
    const { machine, records } = prepare();
    await records.begin(web, undefined, 'web.yaml');
    machine.files.put(`${folder}/plan.json`, text);
    await expect(records.read('web')).rejects.toMatchObject({
      name: 'OperationError',
      message: expect.stringContaining(`the record ${folder}/plan.json`) as string,
      hint: expect.stringMatching(/.../) as string,
    });
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

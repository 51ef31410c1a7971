import { describe, expect, it } from 'vitest';
import type { Reverted } from '../../src/ops/op.ts';
import type { Lease, Plan, Step } from '../../src/plan/plan.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, DATA, down, open } from './fake-session.ts';

const ID = 'sysctl:ip_forward';
const web = planOf('web', '10.209.0.2', 8080);
const db = planOf('db', '10.209.0.3', 5432);

async function up(...plans: readonly Plan[]): Promise<FakeMachine> {
  const machine = createFakeMachine();
  for (const plan of plans) await apply(await open(machine), plan);
  return machine;
}

describe('a shared thing', () => {
  it('stays with its other users, who are named', async () => {
    const { shared } = await open(await up(web, db));
    const never = (): Promise<Reverted> => Promise.reject(new Error('undone'));
    expect(await shared.release(ID, 'web', never)).toEqual({ outcome: 'kept', reason: 'used by db' });
  });

  it('is undone once when its last users leave together', async () => {
    const { shared } = await open(await up(web, db));
    let times = 0;
    const undo = (): Promise<Reverted> => {
      times += 1;
      return Promise.resolve({ outcome: 'removed' });
    };
    const results = await Promise.all(['web', 'db'].map((name) => shared.release(ID, name, undo)));
    expect(times).toBe(1);
    // Of one change of the host one container tells.
    expect(results).toEqual([{ outcome: 'removed' }, { outcome: 'gone' }]);
  });

  it('stays with a container of this call that no record names yet', async () => {
    const { shared } = await open(await up(web));
    shared.hold(ID, 'new');
    expect(await shared.release(ID, 'web', () => Promise.reject(new Error('undone')))).toMatchObject({
      reason: 'used by new',
    });
  });

  it('is no longer kept for a container of this call whose record could not be written', async () => {
    const session = await open(createFakeMachine());
    for (const name of ['web', 'db']) session.shared.hold(ID, name);
    const begin = (): Promise<void> => Promise.reject(new Error('EIO: i/o error'));
    const work = apply({ ...session, records: { ...session.records, begin } }, web);
    await expect(work).rejects.toThrow('EIO');
    expect(await session.shared.users(ID)).toEqual(['db']);
  });

  it('goes by what was recorded before the call, of a container that falls back to it', async () => {
    const machine = await up(web);
    const former = await (await open(machine)).records.read('web');
    const { records, shared } = await open(machine);
    const lease = { ...web.lease, gateway6: 'fd00::1', subnet6: 'fd00::/64' } as Lease;
    const more: Step = { ...(web.steps.find(({ id }) => id === ID) as Step), id: 'sysctl:other' };
    await records.begin({ ...web, lease, steps: [...web.steps, more] }, former, 'web.yaml');
    for (const id of [ID, more.id]) shared.hold(id, 'web', lease);
    expect(await shared.users(more.id)).toEqual(['web']);
    shared.fallBack('web', former);
    expect(await shared.users(more.id)).toEqual([]);
    expect([...(await shared.leases(ID))]).toEqual([['web', []]]);
  });

  it('is tried again by the next of its last users when one of them could not remove it', async () => {
    const { shared } = await open(await up(web, db));
    const kept: Reverted = { outcome: 'kept', reason: 'it still has the ports rs00000002' };
    const outcomes: Reverted[] = [kept, { outcome: 'removed' }];
    const undo = (): Promise<Reverted> => Promise.resolve(outcomes.shift() ?? { outcome: 'gone' });
    const results = await Promise.all(['web', 'db'].map((name) => shared.release(ID, name, undo)));
    expect(results).toEqual([kept, { outcome: 'removed' }]);
  });

  it('that was let go of and is used again is undone a second time', async () => {
    const { shared } = await open(await up(web));
    let times = 0;
    const undo = (): Promise<Reverted> => {
      times += 1;
      return Promise.resolve({ outcome: 'removed' });
    };
    await shared.release(ID, 'web', undo);
    shared.hold(ID, 'web');
    expect(await shared.release(ID, 'db', undo)).toMatchObject({ reason: 'used by web' });
    await shared.release(ID, 'web', undo);
    expect(times).toBe(2);
  });

  it('has no users after a reboot', async () => {
    const machine = await up(web, db);
    machine.files.put('/proc/sys/kernel/random/boot_id', 'another boot\n');
    const { shared } = await open(machine);
    expect(shared.before(ID)).toBeUndefined();
    expect(await shared.release(ID, 'web', () => Promise.resolve({ outcome: 'gone' }))).toEqual({
      outcome: 'gone',
    });
  });

  it('leaves no record of an earlier boot', async () => {
    const machine = await up(web);
    machine.files.put('/proc/sys/kernel/random/boot_id', 'another boot\n');
    expect(await (await open(machine)).shared.mend()).toBe(false);
    expect(machine.files.find(`${DATA}/shared.json`)).toBeUndefined();
  });

  it('with a letter of its record changed is known from the records of its users', async () => {
    const machine = await up(web, db);
    const first = (await open(machine)).shared.before(ID);
    const text = machine.files.read(`${DATA}/shared.json`) ?? '';
    machine.files.put(`${DATA}/shared.json`, text.replace('"value":"0"', '"value":"1"'));
    expect(machine.files.read(`${DATA}/shared.json`)).not.toBe(text);
    expect((await open(machine)).shared.before(ID)).toEqual(first);
  });

  it('comes back to what it was before the first of them', async () => {
    const machine = await up(web);
    const first = (await open(machine)).shared.before(ID);
    await apply(await open(machine), db);
    expect((await open(machine)).shared.before(ID)).toEqual(first);
    expect(first).toMatchObject({ value: '0' });
    for (const name of ['web', 'db']) expect(await down(await open(machine), name)).toEqual([]);
    expect(machine.files.read('/proc/sys/net/ipv4/ip_forward')).toBe('0\n');
    expect(machine.files.find(`${DATA}/shared.json`)).toBeUndefined();
  });

  it.each(['', '{"bootId":', 'null', '{"bootId":"x"}', '{"bootId":"x","before":{"a":7}}', undefined])(
    'with the record %j is known from the records of its users, and comes back',
    async (text) => {
      const machine = await up(web, db);
      const first = (await open(machine)).shared.before(ID);
      if (text === undefined) machine.files.remove(`${DATA}/shared.json`);
      else machine.files.put(`${DATA}/shared.json`, text);
      const { shared } = await open(machine);
      expect(shared.before(ID)).toEqual(first);
      expect(await shared.mend()).toBe(text !== undefined);
      for (const name of ['web', 'db']) expect(await down(await open(machine), name)).toEqual([]);
      expect(machine.files.read('/proc/sys/net/ipv4/ip_forward')).toBe('0\n');
      expect(machine.files.find(DATA)).toBeUndefined();
    },
  );

  it('stays while a container is there whose record cannot be read: it may use anything', async () => {
    const machine = await up(web, db);
    machine.files.put(`${DATA}/containers/db/plan.json`, '{');
    expect(await down(await open(machine), 'web')).toEqual([]);
    expect(machine.files.read('/proc/sys/net/ipv4/ip_forward')).toBe('1\n');
    const { shared } = await open(machine);
    expect(await shared.users(ID)).toEqual(['db']);
    expect(shared.steps.map((step) => step.id)).toContain(ID);
  });
});

// What a plan says of the steps that a container gives up is what its apply does with them.
import { expect, it } from 'vitest';
import type { Plan, Step } from '../../src/plan/plan.ts';
import { findKept } from '../../src/run/find-kept.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, changesOf, DATA, open } from './fake-session.ts';

const web = planOf('web', '10.209.0.2', 8080);
const db = planOf('db', '10.209.0.3', 9091);
const NETWORK: readonly Step['op'][] = ['bridge', 'veth', 'address', 'nft-table', 'nft-element', 'sysctl'];
const without = (plan: Plan): Plan => ({
  ...plan,
  steps: plan.steps.filter(({ op }) => !NETWORK.includes(op)),
});
const folder = (id: string, path: string, removal: 'volume' | 'empty', needs: readonly string[]): Step => ({
  id,
  op: 'directory',
  path,
  mode: 0o700,
  removal,
  needs,
  after: [],
  shared: true,
});
const withVolume: Plan = {
  ...web,
  steps: [
    folder('dir:volumes', `${DATA}/volumes`, 'empty', []),
    folder('volume:data', `${DATA}/volumes/data`, 'volume', ['dir:volumes']),
    ...web.steps,
  ],
};

/** Ids by what is said of them, of the first of `plans`. */
async function compare(
  machine: FakeMachine,
  plans: readonly [Plan, ...Plan[]],
  lent: readonly string[] = [],
): Promise<Readonly<Record<'planned' | 'done', readonly string[]>>> {
  const session = await open(machine);
  const changes = await Promise.all(plans.map((plan) => changesOf(session, plan)));
  const kept = await findKept(session, plans, changes, lent);
  const planned = (changes[0] ?? [])
    .filter(({ action }) => action === 'delete')
    .map((change) => `${kept.has(change) ? 'kept' : 'removed'} ${change.step.id}`);
  const reports = await apply(await open(machine), plans[0]);
  const done = reports
    .filter(({ action }) => action === 'delete')
    .map(({ outcome, step }) => `${outcome} ${step.id}`);
  return { planned: planned.toSorted(), done: done.toSorted() };
}

it('stays with its other users', async () => {
  const machine = createFakeMachine();
  for (const plan of [web, db]) await apply(await open(machine), plan);
  const { planned, done } = await compare(machine, [without(web)]);
  expect(planned).toEqual(done);
  expect(planned).toContain('kept bridge:runspec0');
  expect(planned).toContain('removed veth:eth0');
});

it('goes with its last user', async () => {
  const machine = createFakeMachine();
  await apply(await open(machine), web);
  const { planned, done } = await compare(machine, [without(web)]);
  expect(planned).toEqual(done);
  expect(planned).toContain('removed bridge:runspec0');
});

it('stays with one that only comes to use it in the same call', async () => {
  const machine = createFakeMachine();
  await apply(await open(machine), web);
  const session = await open(machine);
  const plans = [without(web), db];
  const changes = await Promise.all(plans.map((plan) => changesOf(session, plan)));
  const kept = await findKept(session, plans, changes);
  const bridge = changes[0]?.find(({ step }) => step.op === 'bridge');
  expect(bridge && kept.get(bridge)).toBe('kept, used by db');
});

it('stays where it was found', async () => {
  const machine = createFakeMachine();
  machine.network.run('', ['link', 'add', 'runspec0', 'type', 'bridge']);
  await apply(await open(machine), web);
  const { planned, done } = await compare(machine, [without(web)], ['10.209.0.1/24']);
  expect(planned).toEqual(done);
  expect(planned).toContain('kept bridge:runspec0');
});

it.each<readonly [string, (machine: FakeMachine) => void, string]>([
  ['forwarding', (machine) => bridgeOfOthers(machine), 'sysctl:ip_forward'],
  ['a bridge', (machine) => portOfOthers(machine), 'bridge:runspec0'],
  ['a sysctl', (machine) => machine.files.write('/proc/sys/net/ipv4/ip_forward', '2'), 'sysctl:ip_forward'],
])('stays when others have come to need it: %s', async (_, change, id) => {
  const machine = createFakeMachine();
  await apply(await open(machine), web);
  change(machine);
  const { planned, done } = await compare(machine, [without(web)]);
  expect(planned).toEqual(done);
  expect(planned).toContain(`kept ${id}`);
});

function bridgeOfOthers(machine: FakeMachine): void {
  for (const line of ['link add lan0 type bridge', 'addr add 10.5.0.1/24 dev lan0', 'link set dev lan0 up'])
    machine.network.run('', line.split(' '));
}

function portOfOthers(machine: FakeMachine): void {
  for (const line of ['link add tap0 type bridge', 'link set dev tap0 master runspec0'])
    machine.network.run('', line.split(' '));
}

it('stays when it is a volume, and so does what holds it', async () => {
  const machine = createFakeMachine();
  await apply(await open(machine), withVolume);
  const { planned, done } = await compare(machine, [web]);
  expect(planned).toEqual(['kept dir:volumes', 'kept volume:data']);
  expect(planned).toEqual(done);
});

const layer = (path: string, removal: 'volume' | 'tree', needs: readonly string[]): Step => ({
  id: 'dir:writable',
  op: 'directory',
  path,
  mode: 0o700,
  removal,
  needs,
  after: [],
});

it('stays when it is a persistent layer and the next one lies elsewhere, and so does what holds it', async () => {
  const machine = createFakeMachine();
  const persistent: Plan = {
    ...web,
    steps: [
      folder('dir:writables', `${DATA}/writable`, 'empty', []),
      layer(`${DATA}/writable/web`, 'volume', ['dir:writables']),
      ...web.steps,
    ],
  };
  const elsewhere = layer(`${DATA}/containers/web/own`, 'tree', []);
  await apply(await open(machine), persistent);
  const { planned, done } = await compare(machine, [{ ...web, steps: [elsewhere, ...web.steps] }]);
  expect(planned).toEqual(['kept dir:writable', 'kept dir:writables']);
  expect(planned).toEqual(done);
  expect(machine.files.find(`${DATA}/writable/web`)).toBeDefined();
  expect(machine.files.find(elsewhere.op === 'directory' ? elsewhere.path : '')).toBeDefined();
});

// The IPv6 address of a bridge lasts as long as one of its containers has IPv6, whatever records of the others say.
import { expect, it } from 'vitest';
import type { Lease, Plan } from '../../src/plan/plan.ts';
import { opOf } from '../../src/ops/index.ts';
import { opContext } from '../../src/run/session.ts';
import { asOfNow, readAsOfNow } from '../../src/run/shared-ipv6.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, down, open } from './fake-session.ts';

const BRIDGE6 = 'fd00:209::1/64';

function leaseOf(address: string, address6?: string): Lease {
  const lease = { link: 'runspec0', subnet: '10.209.0.0/24', address, gateway: '10.209.0.1' };
  if (address6 === undefined) return lease;
  return { ...lease, subnet6: 'fd00:209::/64', address6, gateway6: 'fd00:209::1' };
}

/** On a bridge with IPv6, and with an address of it or not. */
function beside(name: string, address: string, port: number, address6?: string): Plan {
  const plan = planOf(name, address, port);
  const own6 = address6 === undefined ? {} : { address6: `${address6}/64`, gateway6: 'fd00:209::1' };
  const steps = plan.steps.map((step) => {
    if (step.op === 'bridge') return { ...step, address6: BRIDGE6 };
    return step.op === 'address' ? { ...step, ...own6 } : step;
  });
  return { ...plan, lease: leaseOf(address, address6), steps };
}

const web = beside('web', '10.209.0.2', 8080, 'fd00:209::2');
const db = beside('db', '10.209.0.3', 9091, 'fd00:209::3');
const plain = beside('plain', '10.209.0.4', 9092);

async function up(...plans: readonly Plan[]): Promise<FakeMachine> {
  const machine = createFakeMachine();
  for (const plan of plans) await apply(await open(machine), plan);
  return machine;
}

/** What status finds of the bridge of a container, and the global addresses that the bridge has. */
async function look(machine: FakeMachine, plan: Plan): Promise<readonly [string, readonly string[]]> {
  const session = await open(machine);
  const [bridge] = (await readAsOfNow(session.shared, plan.name, plan.steps)).filter(
    ({ op }) => op === 'bridge',
  );
  if (bridge === undefined) throw new Error('no bridge is planned');
  const { state } = await opOf(bridge).probe(
    opContext(session, plan.name, () => undefined),
    bridge,
  );
  const { addresses = [] } = (await session.view.link('runspec0')) ?? {};
  return [state, addresses.map((one) => one.address).filter((one) => !one.startsWith('fe80:'))];
}

it('goes with the last of them', async () => {
  const machine = await up(web, db, plain);
  expect(await down(await open(machine), 'web')).toEqual([]);
  expect(await look(machine, plain)).toEqual(['present', ['10.209.0.1', 'fd00:209::1']]);
  expect(await down(await open(machine), 'db')).toEqual([]);
  expect(await look(machine, plain)).toEqual(['present', ['10.209.0.1']]);
});

it('goes with the last of them when they go together', async () => {
  const machine = await up(web, db, plain);
  const session = await open(machine);
  expect(await Promise.all(['web', 'db'].map((name) => down(session, name)))).toEqual([[], []]);
  expect(await look(machine, plain)).toEqual(['present', ['10.209.0.1']]);
});

it('stays where it was before them', async () => {
  const machine = createFakeMachine();
  for (const line of ['link add runspec0 type bridge', `addr add ${BRIDGE6} dev runspec0`])
    machine.network.run('', line.split(' '));
  for (const plan of [web, plain]) await apply(await open(machine), plan);
  expect(await down(await open(machine), 'web')).toEqual([]);
  expect((await look(machine, plain))[1]).toContain('fd00:209::1');
});

it('stays while a container is there whose record cannot be read', async () => {
  const machine = await up(web, plain);
  machine.files.put('/var/lib/runspec/containers/plain/plan.json', '{');
  expect(await down(await open(machine), 'web')).toEqual([]);
  expect((await look(machine, plain))[1]).toContain('fd00:209::1');
});

it('is missed by all of them while one has IPv6', async () => {
  const machine = await up(web, plain);
  machine.network.run('', ['addr', 'del', BRIDGE6, 'dev', 'runspec0']);
  expect(await look(machine, plain)).toEqual(['drifted', ['10.209.0.1']]);
});

it('is in the record of who was there before, as soon as somebody has come', () => {
  const earlier = planOf('plain', '10.209.0.4', 9092).steps;
  const addresses = (leases: readonly Lease[]): readonly unknown[] =>
    asOfNow(earlier, leases).flatMap((step) => (step.op === 'bridge' ? [step.address6] : []));
  expect(addresses([leaseOf('10.209.0.2', 'fd00:209::2')])).toEqual([BRIDGE6]);
  expect(addresses([leaseOf('10.209.0.2')])).toEqual([undefined]);
});

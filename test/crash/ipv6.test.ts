// The same for networks with IPv6 as compile makes them: on a bridge of our own, on a foreign one, point to point.
import { load } from '../../src/load/load.ts';
import { compileNetwork } from '../../src/plan/network.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { createProblems } from '../../src/plan/problems.ts';
import { factsOf } from '../plan/read-cases.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, down } from './one-runspec.ts';
import { planOf } from './plans.ts';
import { walk, type Scenario } from './walk.ts';

/** A bridge of somebody else that is the uplink: with addresses, and told its routes by a router. */
const FOREIGN = ['192.0.2.1/24', '2001:db8:9::1/64'];

function createMachine(): FakeMachine {
  const machine = createFakeMachine();
  const lines = [
    'link add lan0 type bridge',
    ...FOREIGN.map((one) => `addr add ${one} dev lan0`),
    'link set dev lan0 up',
  ];
  for (const line of lines) machine.network.run('', line.split(' '));
  return machine;
}

const FACTS = factsOf({
  title: '',
  expect: [],
  facts: {
    network: {
      ipv6: 'used',
      links: [{ name: 'lan0', kind: 'bridge', mtu: 1500 }],
      addresses: FOREIGN.map((one) => ({
        link: 'lan0',
        address: one.split('/')[0],
        prefix: Number(one.split('/')[1]),
      })),
      routes: [],
    },
  },
});

/** The network of a spec, and what says whose it is. */
function planNetwork(name: string, network: object): Plan {
  const document = { runspec: 1, name, rootfs: { directory: '/usr' }, network };
  const { specs } = load([{ file: 'web.yaml', baseDir: '/', text: JSON.stringify(document) }]);
  const [spec] = specs.map((one) => one.spec);
  const problems = createProblems();
  if (spec === undefined) throw new Error('the spec is not valid');
  const { steps, lease } = compileNetwork(spec, FACTS, problems, []);
  if (lease === undefined || (lease.address6 === undefined && spec.network.ipv6 !== false))
    throw new Error(JSON.stringify(problems.all));
  const base = planOf(name, '', 0);
  const owned = base.steps.filter((step) => ['mount:state', 'dir:container'].includes(step.id));
  return { ...base, specDigest: JSON.stringify(document), lease, steps: [...owned, ...steps] };
}

const SUBNETS = { subnet: '10.209.0.0/24', subnet6: 'fd00:209::/64' };
const ports = ['8080:80', '[::1]:8081:80', '[2001:db8:9::1]:5353:53/udp'];
const web = planNetwork('web', { ...SUBNETS, address: '10.209.0.2', ports });
const db = planNetwork('db', { ...SUBNETS, address: '10.209.0.3' });
const without = planNetwork('web', {
  subnet: SUBNETS.subnet,
  address: '10.209.0.2',
  ipv6: false,
  ports: ['8080:80'],
});
const moved = planNetwork('web', {
  ...SUBNETS,
  subnet6: 'fd00:210::/64',
  address: '10.209.0.2',
  ports: ['8080:80'],
});
const narrow = planNetwork('web', {
  subnet: SUBNETS.subnet,
  address: '10.209.0.2',
  mtu: 1000,
  ports: ['8080:80'],
});
const plain = planNetwork('db', { subnet: SUBNETS.subnet, address: '10.209.0.4', ipv6: false });
const foreign = planNetwork('web', { bridge: 'lan0', ports });
const pointToPoint = planNetwork('web', { mode: 'veth', ...SUBNETS, ports });
const narrowPoint = planNetwork('web', {
  mode: 'veth',
  subnet: SUBNETS.subnet,
  mtu: 1000,
  ports: ['8080:80'],
});

const SCENARIOS: readonly Scenario[] = [
  { name: 'apply of IPv6 on an own bridge', given: [], work: apply(web), rollsBack: true },
  { name: 'apply of IPv6 beside another', given: [db], work: apply(web), rollsBack: true },
  { name: 'apply of IPv6 on a foreign bridge', given: [], work: apply(foreign), rollsBack: true },
  { name: 'apply of IPv6 point to point', given: [], work: apply(pointToPoint), rollsBack: true },
  { name: 'apply of IPv6 to who had none', given: [without], work: apply(web), rollsBack: true },
  { name: 'apply that takes IPv6 away', given: [web], work: apply(without), rollsBack: true },
  { name: 'apply that leaves no room for IPv6', given: [web], work: apply(narrow), rollsBack: true },
  { name: 'apply that makes room for IPv6', given: [narrow], work: apply(web), rollsBack: true },
  {
    name: 'apply that leaves no room for IPv6 point to point',
    given: [pointToPoint],
    work: apply(narrowPoint),
    rollsBack: true,
  },
  {
    name: 'apply that makes room for IPv6 point to point',
    given: [narrowPoint],
    work: apply(pointToPoint),
    rollsBack: true,
  },
  { name: 'apply of another IPv6 subnet', given: [web], work: apply(moved), rollsBack: true },
  { name: 'down of IPv6 beside who has none', given: [web, plain], work: down('web'), rollsBack: false },
  { name: 'down of IPv6 on a foreign bridge', given: [foreign], work: down('web'), rollsBack: false },
];

walk(SCENARIOS, createMachine);

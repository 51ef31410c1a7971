// Every change of apply and of down fails once, and is the last of a killed runspec once. Afterwards the
// machine must be as it was: at once after a failure, after one `down` after a kill.
import type { Plan, Step } from '../../src/plan/plan.ts';
import { createFakeMachine } from '../support/fake/machine.ts';
import { apply, dataDir, down } from './one-runspec.ts';
import { planOf } from './plans.ts';
import { walk, type Scenario } from './walk.ts';

const web = planOf('web', '10.209.0.2', 8080);
const db = planOf('db', '10.209.0.3', 5432);
/** The same container with another port and limit: two elements go, one comes, one file changes. */
const changed: Plan = {
  ...planOf('web', '10.209.0.2', 8081),
  steps: planOf('web', '10.209.0.2', 8081).steps.map((step) =>
    step.op === 'file' ? { ...step, text: '127.0.0.1 other\n' } : step,
  ),
};

/** The same container without a network: most of what it shared goes. */
const NETWORK = new Set(['netns', 'veth', 'address', 'bridge', 'sysctl', 'nft-table', 'nft-element']);
const alone: Plan = {
  ...web,
  specDigest: 'digest of web without a network',
  steps: [
    ...web.steps.filter((step) => !NETWORK.has(step.op)),
    {
      ...web.steps[3],
      id: 'dir:last',
      op: 'directory',
      path: '/var/lib/runspec/containers/web/last',
    } as Step,
  ],
};

/** The same container with another writable layer: the former one goes last. */
const rewritten: Plan = {
  ...web,
  specDigest: 'digest of web with another layer',
  steps: web.steps.map((step) => {
    if (step.id === 'dir:upper' && step.op === 'directory')
      return { ...step, path: `${dataDir}/containers/web/etc` };
    return step.op === 'overlay' ? { ...step, upper: `${dataDir}/containers/web/etc` } : step;
  }),
};

/** The same container behind another address of its bridge, in the same subnet. */
const regated: Plan = {
  ...web,
  specDigest: 'digest of web with another gateway',
  steps: web.steps.map((step) => {
    if (step.op === 'bridge') return { ...step, address: '10.209.0.254/24' };
    return step.op === 'address' ? { ...step, gateway: '10.209.0.254' } : step;
  }),
};

const SCENARIOS: readonly Scenario[] = [
  { name: 'apply of a first container', given: [], work: apply(web), rollsBack: true },
  { name: 'apply of a second container', given: [db], work: apply(web), rollsBack: true },
  {
    name: 'apply of two containers at once',
    given: [],
    work: apply(web, db),
    rollsBack: true,
    isOfSeveral: true,
  },
  {
    name: 'apply of one changed and one new container',
    given: [web],
    work: apply(changed, db),
    rollsBack: true,
    isOfSeveral: true,
  },
  { name: 'apply of a changed spec', given: [web], work: apply(changed), rollsBack: true },
  { name: 'apply of a spec without its network', given: [web], work: apply(alone), rollsBack: true },
  { name: 'apply of another writable layer', given: [web], work: apply(rewritten), rollsBack: true },
  { name: 'apply of another gateway', given: [web], work: apply(regated), rollsBack: true },
  { name: 'down of the last container', given: [web], work: down('web'), rollsBack: false },
  { name: 'down of one of two', given: [web, db], work: down('web'), rollsBack: false },
];

walk(SCENARIOS, createFakeMachine);

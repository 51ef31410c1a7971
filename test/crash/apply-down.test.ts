// Every change of apply and of down fails once, and is the last of a killed runspec once. Afterwards the
// machine must be as it was: at once after a failure, after one `down` after a kill.
import { describe, expect, it } from 'vitest';
import type { Archives } from '../../src/host/archives.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate, type Breakage, type Gate } from '../support/fake/gate.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { applyChanges } from '../../src/run/apply.ts';
import { computeChanges } from '../../src/run/changes.ts';
import { withLock } from '../../src/run/lock.ts';
import { recordedSteps } from '../../src/run/records.ts';
import type { Reporter } from '../../src/run/report.ts';
import { revertSteps } from '../../src/run/revert.ts';
import { opContext, openSession, type Session } from '../../src/run/session.ts';
import type { Plan, Step } from '../../src/plan/plan.ts';
import { planOf } from './plans.ts';

const silent: Reporter = { step: () => undefined, progress: () => undefined, rollback: () => undefined };
const dataDir = '/var/lib/runspec';

interface Outcome {
  readonly gate: Gate;
  readonly end: 'done' | 'failed' | 'killed';
  readonly error?: unknown;
}

/** One runspec process on the machine, from its start to its end or its death. */
async function runspec(
  machine: FakeMachine,
  work: (session: Session) => Promise<void>,
  breakage?: Breakage,
): Promise<Outcome> {
  const gate = createGate(breakage);
  const host = createFakeHost(machine, gate);
  const places = {
    host,
    archives: {} as Archives,
    stateDir: '/run/runspec',
    dataDir,
    signal: new AbortController().signal,
  };
  const finished = withLock(host, dataDir, 0, async () => work(await openSession(places))).then(
    (): Outcome => ({ gate, end: 'done' }),
    (error: unknown): Outcome => ({ gate, end: 'failed', error }),
  );
  return Promise.race([finished, gate.died.then((): Outcome => ({ gate, end: 'killed' }))]);
}

const apply =
  (...plans: readonly Plan[]) =>
  async (session: Session): Promise<void> => {
    const sharedRuns = new Map<string, Promise<void>>();
    const runs = plans.map(async (plan) => {
      const context = opContext(session, plan.name, () => undefined);
      const record = await session.records.read(plan.name);
      const changes = await computeChanges(context, plan, record === undefined ? [] : recordedSteps(record));
      const { records, shared } = session;
      await applyChanges({
        context,
        records,
        shared,
        sharedRuns,
        report: silent,
        plan,
        changes,
        record,
        specFile: 'web.yaml',
        keepOnFailure: false,
      });
    });
    const results = await Promise.allSettled(runs);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };

const down =
  (...names: readonly string[]) =>
  async (session: Session): Promise<void> => {
    for (const name of names) {
      const record = await session.records.read(name);
      if (record !== undefined) {
        const { records, shared } = session;
        const context = opContext(session, name, () => undefined);
        const reversal = {
          context,
          records,
          shared,
          report: silent,
          before: record.before,
          options: { volumes: false },
        };
        const [failure] = await revertSteps(reversal, recordedSteps(record));
        if (failure !== undefined) throw failure;
      }
      await session.records.remove(name);
    }
  };

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
    { ...web.steps[3], id: 'dir:last', op: 'directory', path: '/tmp/last' } as Step,
  ],
};

interface Scenario {
  readonly name: string;
  /** What is up before. */
  readonly given: readonly Plan[];
  readonly work: (session: Session) => Promise<void>;
  /** A failure brings back what was before: an apply of one container. Of several, the others stay up. */
  readonly rollsBack: boolean;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'apply of a first container', given: [], work: apply(web), rollsBack: true },
  { name: 'apply of a second container', given: [db], work: apply(web), rollsBack: true },
  { name: 'apply of two containers at once', given: [], work: apply(web, db), rollsBack: false },
  { name: 'apply of a changed spec', given: [web], work: apply(changed), rollsBack: true },
  { name: 'apply of a spec without its network', given: [web], work: apply(alone), rollsBack: true },
  { name: 'down of the last container', given: [web], work: down('web'), rollsBack: false },
  { name: 'down of one of two', given: [web, db], work: down('web'), rollsBack: false },
];

async function prepare(given: readonly Plan[]): Promise<FakeMachine> {
  const machine = createFakeMachine();
  const { end } = given.length === 0 ? { end: 'done' } : await runspec(machine, apply(...given));
  expect(end).toBe('done');
  return machine;
}

const everyone = ['web', 'db'];
const clean = createFakeMachine().dump();

async function countChanges({ given, work }: Scenario): Promise<number> {
  const { gate, error } = await runspec(await prepare(given), work);
  expect(error).toBeUndefined();
  return gate.count;
}

/** Compares without the noise of what is equal. */
function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ];
}

describe.each(SCENARIOS)('$name', (scenario) => {
  it('is clean without a failure: a second time nothing changes, and down takes all', async () => {
    const machine = await prepare(scenario.given);
    expect((await runspec(machine, scenario.work)).error).toBeUndefined();
    const after = machine.dump();
    expect((await runspec(machine, scenario.work)).error).toBeUndefined();
    expect(difference(after, machine.dump())).toEqual([]);
    expect((await runspec(machine, down(...everyone))).error).toBeUndefined();
    expect(difference(clean, machine.dump())).toEqual([]);
  });

  it('leaves nothing when any one change is the last before a kill, after down', async () => {
    const total = await countChanges(scenario);
    const left: string[] = [];
    for (let at = 1; at <= total; at += 1) {
      const machine = await prepare(scenario.given);
      const { gate, end } = await runspec(machine, scenario.work, { at, how: 'die' });
      expect(end).toBe('killed');
      const { error } = await runspec(machine, down(...everyone));
      if (error !== undefined) left.push(`killed in ${gate.changes.at(-1)}: down says ${show(error)}`);
      left.push(...tell(`killed in ${gate.changes.at(-1)}`, difference(clean, machine.dump())));
    }
    expect(left).toEqual([]);
  });

  it('goes on from where any kill left it, when called again', async () => {
    const total = await countChanges(scenario);
    const whole = await prepare(scenario.given);
    await runspec(whole, scenario.work);
    const left: string[] = [];
    for (let at = 1; at <= total; at += 1) {
      const machine = await prepare(scenario.given);
      const { gate } = await runspec(machine, scenario.work, { at, how: 'die' });
      const { error } = await runspec(machine, scenario.work);
      if (error !== undefined) left.push(`killed in ${gate.changes.at(-1)}: ${show(error)}`);
      left.push(
        ...tell(`killed in ${gate.changes.at(-1)}`, difference(comparable(whole), comparable(machine))),
      );
      await runspec(machine, down(...everyone));
      left.push(...tell(`killed in ${gate.changes.at(-1)}, after down`, difference(clean, machine.dump())));
    }
    expect(left).toEqual([]);
  });

  it('says so when any one change fails, and leaves nothing after down', async () => {
    const total = await countChanges(scenario);
    const whole = await prepare(scenario.given);
    await runspec(whole, scenario.work);
    const left: string[] = [];
    for (let at = 1; at <= total; at += 1) {
      const machine = await prepare(scenario.given);
      const before = machine.dump();
      const { gate, end } = await runspec(machine, scenario.work, { at, how: 'fail' });
      const what = `${gate.changes[at - 1]} failed`;
      if (end === 'done') {
        // A change may be tried again in another way; then all of it is there.
        left.push(
          ...tell(`${what}, and nothing was said`, difference(comparable(whole), comparable(machine))),
        );
      } else if (scenario.rollsBack && !HOUSEKEEPING.test(what)) {
        left.push(...tell(what, difference(before.filter(isStable), machine.dump().filter(isStable))));
      }
      const { error } = await runspec(machine, down(...everyone));
      if (error !== undefined) left.push(`${what}: down says ${show(error)}`);
      left.push(...tell(`${what}, after down`, difference(clean, machine.dump())));
    }
    expect(left).toEqual([]);
  });
});

/** What is done when the plan is applied and stored: too late to take it back. */
const HOUSEKEEPING = /^unlink .*(pending\.json|journal\.jsonl|\.lock)/;

/** Links that were made anew have other sysctls before, and what was before them is noted anew. */
const isStable = (line: string): boolean =>
  !/^(\/var\/lib\/runspec\/shared\.json|\/proc\/sys\/net\/ipv4\/conf\/(rs\w+|runspec0)\/forwarding) /.test(
    line,
  );

function show(error: unknown): string {
  return error instanceof Error ? error.message : JSON.stringify(error);
}

/** One line for what a single breakage left: the first few say enough. */
function tell(when: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [];
  return [
    `${when}: ${lines.slice(0, 3).join(' | ')}${lines.length > 3 ? ` and ${lines.length - 3} more` : ''}`,
  ];
}

/** Without the records, whose clock has gone on. */
function comparable(machine: FakeMachine): readonly string[] {
  return machine
    .dump()
    .filter((line) => !/^\/var\/lib\/runspec\/(containers\/\w+\/\w+\.json|shared\.json)/.test(line));
}

// What containers of one call give to each other: it is there for the taker in time, and back when the giver fails.
import { beforeEach, describe, expect, it } from 'vitest';
import { InterruptedError, OperationError, UndoneError } from '../../src/errors.ts';
import type { NftElementStep, Plan, Step } from '../../src/plan/plan.ts';
import type { Application } from '../../src/run/application.ts';
import { createHandOvers, type HandOvers } from '../../src/run/hand-over.ts';
import { createLooks } from '../../src/run/looks.ts';
import { opContext } from '../../src/run/session.ts';
import { createTransaction, type Transaction } from '../../src/run/transaction.ts';
import { planOf } from '../crash/plans.ts';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, changesOf, DATA, down, open } from './fake-session.ts';

const giver = planOf('giver', '10.209.0.2', 8080);
const taker = planOf('taker', '10.209.0.3', 8081);
const isPort = (step: Step): step is NftElementStep => step.op === 'nft-element' && step.set === 'ports';
const withPorts = (plan: Plan, from: Plan, digest: string): Plan => ({
  ...plan,
  specDigest: digest,
  steps: [
    ...plan.steps.filter((step) => !isPort(step)),
    ...from.steps.filter(isPort).map((step): Step => ({ ...step, comment: `runspec:${plan.name}` })),
  ],
});
/** Each has the other's port. */
const swapped = [withPorts(giver, taker, 'given'), withPorts(taker, giver, 'taken')] as const;
/** As createTransaction has it. */
type Joined = Readonly<Record<string, readonly string[]>>;

interface Call {
  readonly handOvers: HandOvers;
  readonly applications: readonly Application[];
  readonly transaction: Transaction;
}

/** Cannot be made: its parent is a file. */
const broken: Step = {
  id: 'dir:broken',
  op: 'directory',
  path: '/etc/file/below',
  mode: 0o755,
  removal: 'tree',
  needs: [],
  after: giver.steps.map((step) => step.id),
};
const breaking = (plan: Plan): Plan => ({ ...plan, steps: [...plan.steps, broken] });

describe('a port that changes hands in one call', () => {
  let machine: FakeMachine;
  let clean: readonly string[];
  const dump = (): readonly string[] =>
    machine.dump().filter((line) => !line.startsWith(`${DATA}/containers/`));
  const owners = async (): Promise<Readonly<Record<string, string | undefined>>> => {
    const table = await (await open(machine)).view.nftTable('runspec');
    const ports = table?.sets.get('ports') ?? [];
    return Object.fromEntries(ports.map(({ key, comment }) => [key.replace('tcp . ', ''), comment]));
  };
  const begin = async (plans: readonly Plan[], joined: Joined = {}, signal?: AbortSignal): Promise<Call> => {
    const session = await open(machine, undefined, signal);
    const works = await Promise.all(
      plans.map(async (plan) => ({
        plan,
        changes: await changesOf(session, plan),
        record: await session.records.read(plan.name),
      })),
    );
    const handOvers = createHandOvers(works);
    const transaction = createTransaction(
      new Map(plans.map(({ name }) => [name, joined[name] ?? []])),
      () => undefined,
    );
    const sharedRuns = new Map<string, Promise<void>>();
    const looks = createLooks(session.host);
    const applications = works.map((work): Application => {
      const { name } = work.plan;
      return {
        ...work,
        context: opContext(session, name, () => undefined),
        part: transaction.part(name),
        records: session.records,
        shared: session.shared,
        sharedUpdates: new Map(),
        looks,
        bootId: session.bootId,
        sharedRuns,
        report: { step: () => undefined, progress: () => undefined, rollback: () => undefined },
        specFile: `${name}.yaml`,
        keepOnFailure: false,
      };
    });
    await handOvers.giveUp(applications);
    return { handOvers, applications, transaction };
  };
  const carryOn = async (
    { handOvers, applications }: Call,
    index: number,
    joined: Promise<unknown> = Promise.resolve(),
  ): Promise<void> => {
    const application = applications[index] as Application;
    await handOvers.carryOn(application, joined).finally(() => application.part.over());
  };
  const expectAsBefore = async (): Promise<void> => {
    expect(await owners()).toEqual({ 8080: 'runspec:giver', 8081: 'runspec:taker' });
    expect(dump()).toEqual(clean);
    const session = await open(machine);
    for (const plan of [giver, taker]) {
      expect((await changesOf(session, plan)).every(({ action }) => action === 'none')).toBe(true);
      expect((await session.records.read(plan.name))?.pending).toBeUndefined();
    }
  };

  beforeEach(async () => {
    machine = createFakeMachine();
    machine.files.put('/etc/file', '');
    for (const plan of [giver, taker]) await apply(await open(machine), plan);
    clean = dump();
  });

  it.each([
    ['giver', 0, 1],
    ['taker', 1, 0],
  ])(
    'is given up before any of them makes anything, though the %s waits for the other',
    async (waiting, late, first) => {
      const joined = swapped[first]?.name ?? '';
      const call = await begin(swapped, { [waiting]: [joined] });
      expect(await owners()).toEqual({});
      const made = call.transaction.untilMade(joined);
      await Promise.all([carryOn(call, late, made), carryOn(call, first)]);
      expect(await owners()).toEqual({ 8080: 'runspec:taker', 8081: 'runspec:giver' });
      const session = await open(machine);
      for (const { name } of swapped) expect(await down(session, name)).toEqual([]);
      expect(await owners()).toEqual({});
    },
  );

  it.each([
    ['one that it waits for fails', new OperationError('not applied')],
    ['an interrupt comes before its turn', new InterruptedError('SIGINT')],
  ])('is given back when %s', async (_, cause) => {
    const call = await begin(swapped);
    const joined = Promise.reject(cause);
    const results = await Promise.allSettled([carryOn(call, 1, joined), carryOn(call, 0, joined)]);
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { message: cause.message, cleanup: [] } });
    await expectAsBefore();
  });

  it('is given back at a signal before the first change, which is what those hear who wait', async () => {
    // Each loses something else too, which is where an update looks ahead.
    const smaller = swapped.map((plan) => ({ ...plan, steps: plan.steps.filter(({ op }) => op !== 'file') }));
    const call = await begin(smaller, {}, AbortSignal.abort('SIGINT'));
    const made = call.transaction.untilMade('giver');
    const interrupted: unknown = expect.objectContaining({ name: 'InterruptedError', cleanup: [] });
    const results = await Promise.allSettled([carryOn(call, 0), carryOn(call, 1), made]);
    for (const result of [results[0], results[2]])
      expect(result).toMatchObject({ status: 'rejected', reason: interrupted });
    expect(results[1]).toMatchObject({ reason: { name: 'UndoneError', cleanup: [] } });
    await expectAsBefore();
  });

  it('is given back when both fail at the same time', async () => {
    const call = await begin(swapped.map(breaking));
    const results = await Promise.allSettled([carryOn(call, 0), carryOn(call, 1)]);
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { cleanup: [] } });
    expect(results).toContainEqual(
      expect.objectContaining({ reason: expect.objectContaining({ step: 'dir:broken' }) as unknown }),
    );
    await expectAsBefore();
  });

  it('is given back when one fails, which no signal hides that comes while all is being undone', async () => {
    const controller = new AbortController();
    const call = await begin([breaking(swapped[0]), swapped[1]], {}, controller.signal);
    const { report } = call.applications[0] as Application;
    const applications = call.applications.map((application): Application => {
      const rollback = (): void => controller.abort('SIGINT');
      return { ...application, report: { ...report, rollback } };
    });
    const heard = { ...call, applications };
    const results = await Promise.allSettled([carryOn(heard, 0), carryOn(heard, 1)]);
    expect(results).toMatchObject([
      { reason: { name: 'OperationError', step: 'dir:broken', cleanup: [] } },
      { reason: { name: 'UndoneError', cleanup: [] } },
    ]);
    await expectAsBefore();
  });

  it.each([
    ['giver', 0],
    ['taker', 1],
  ])('is given back when only the %s fails', async (name, index) => {
    const call = await begin(swapped.map((plan, at) => (at === index ? breaking(plan) : plan)));
    const results = await Promise.allSettled([carryOn(call, 0), carryOn(call, 1)]);
    expect(results[index]).toMatchObject({ reason: { step: 'dir:broken', cleanup: [] } });
    const reason = (results[1 - index] as PromiseRejectedResult).reason as unknown;
    expect(reason).toBeInstanceOf(UndoneError);
    expect(reason).toMatchObject({ cleanup: [] });
    expect((call.applications[index] as Application).part.brokenBy()).toBe(name);
    await expectAsBefore();
  });

  it.each([
    ['the giver’s record is tidied up', 'settle', swapped],
    ['a giver that the taker has joined is recorded', 'finish', swapped, { taker: ['giver'] }],
    [
      'a giver that does nothing else is recorded',
      'finish',
      [{ ...giver, specDigest: 'less', steps: giver.steps.filter((step) => !isPort(step)) }, swapped[1]],
    ],
  ] as const)(
    'stays with its taker when the disk fails before %s: all was made',
    async (_, work, plans, joined: Joined = {}) => {
      const call = await begin(plans, joined);
      const application = call.applications[0] as Application;
      const failing = (): Promise<void> => Promise.reject(new Error('EIO: i/o error'));
      const records = { ...application.records, [work]: failing };
      const results = await Promise.allSettled([
        carryOn({ ...call, applications: [{ ...application, records }] }, 0),
        carryOn(call, 1, 'taker' in joined ? call.transaction.untilMade('giver') : undefined),
      ]);
      const hint = expect.stringContaining('it is up') as string;
      expect(results).toMatchObject([
        { status: 'rejected', reason: { name: 'OperationError', hint, cleanup: [] } },
        { status: 'fulfilled' },
      ]);
      expect(await owners()).toMatchObject({ 8080: 'runspec:taker' });
      const session = await open(machine);
      expect(await down(session, 'giver')).toEqual([]);
      expect(await owners()).toEqual({ 8080: 'runspec:taker' });
      expect(await down(session, 'taker')).toEqual([]);
      expect(await owners()).toEqual({});
    },
  );
});

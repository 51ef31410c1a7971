// One runspec process on a fake machine, from its start to its end or its death; and what the commands do in it.
import type { Archives } from '../../src/host/archives.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { ps as showContainers } from '../../src/commands/ps.ts';
import { removeUnusedShared, takeDown } from '../../src/commands/take-down.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { findSharedUpdates } from '../../src/run/application.ts';
import { applyChanges } from '../../src/run/apply.ts';
import { computeChanges } from '../../src/run/changes.ts';
import { collect } from '../../src/run/collect.ts';
import { withLock } from '../../src/run/lock.ts';
import { createLooks } from '../../src/run/looks.ts';
import { recordedSteps } from '../../src/run/records.ts';
import type { Reporter } from '../../src/run/report.ts';
import { opContext, openSession, type Session } from '../../src/run/session.ts';
import { createTransaction } from '../../src/run/transaction.ts';
import { UndoneError } from '../../src/errors.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate, type Breakage, type Gate } from '../support/fake/gate.ts';
import type { FakeMachine } from '../support/fake/machine.ts';
import { removeAllStaleWork } from '../../src/run/stale-work.ts';

const silent: Reporter = { step: () => undefined, progress: () => undefined, rollback: () => undefined };
export const dataDir = '/var/lib/runspec';

/** Those of a runspec with other options, on the same machine. */
export interface Folders {
  readonly dataDir: string;
  readonly stateDir: string;
}

interface Outcome {
  readonly gate: Gate;
  readonly end: 'done' | 'failed' | 'killed';
  readonly error?: unknown;
}

/** One runspec process on the machine, from its start to its end or its death. */
export async function runspec(
  machine: FakeMachine,
  work: (session: Session) => Promise<void>,
  breakage?: Breakage,
  folders: Folders = { dataDir, stateDir: '/run/runspec' },
): Promise<Outcome> {
  const gate = createGate(breakage);
  const host = createFakeHost(machine, gate);
  const places = {
    host,
    archives: { sync: async () => undefined } as Partial<Archives> as Archives,
    ...folders,
    signal: new AbortController().signal,
    onSignal: () => () => undefined,
  };
  const finished = withLock(host, folders.dataDir, 0, async () => work(await openSession(places))).then(
    (): Outcome => ({ gate, end: 'done' }),
    (error: unknown): Outcome => ({ gate, end: 'failed', error }),
  );
  return Promise.race([finished, gate.died.then((): Outcome => ({ gate, end: 'killed' }))]);
}

export const apply =
  (...plans: readonly Plan[]) =>
  async (session: Session): Promise<void> => {
    const sharedRuns = new Map<string, Promise<void>>();
    const works = await Promise.all(
      plans.map(async (plan) => {
        const context = opContext(session, plan.name, () => undefined);
        const record = await session.records.read(plan.name);
        const former = record === undefined ? [] : recordedSteps(record);
        return { context, plan, record, changes: await computeChanges(context, plan, former) };
      }),
    );
    const sharedUpdates = findSharedUpdates(works.flatMap(({ changes }) => changes));
    const transaction = createTransaction(new Map(plans.map(({ name }) => [name, []])), () =>
      sharedUpdates.clear(),
    );
    const looks = createLooks(session.host);
    const runs = works.map(async ({ context, plan, record, changes }) => {
      const { records, shared, bootId } = session;
      const part = transaction.part(plan.name);
      await applyChanges({
        part,
        context,
        records,
        shared,
        sharedRuns,
        sharedUpdates,
        looks,
        bootId,
        whenFailed: () => sharedUpdates.forEach((names) => names.delete(plan.name)),
        report: silent,
        plan,
        changes,
        record,
        specFile: 'web.yaml',
        keepOnFailure: false,
      }).finally(() => part.over());
    });
    const results = await Promise.allSettled(runs);
    const reasons = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as Error] : [],
    );
    const failure = reasons.find((reason) => !(reason instanceof UndoneError)) ?? reasons[0];
    if (failure !== undefined) throw failure;
  };

export const down =
  (...names: readonly string[]) =>
  async (session: Session): Promise<void> => {
    const said = { host: session.host, quiet: true, json: false } as CommandContext;
    let wasLost = false;
    await session.shared.mend();
    for (const name of names)
      if (await takeDown(said, session, name, silent, { volumes: false })) wasLost = true;
    const [failure] = wasLost ? await removeUnusedShared(session, silent) : [];
    if (failure !== undefined) throw failure;
  };

/** As `ps --json`. */
export const ps = async (session: Session): Promise<void> => {
  let written = '';
  const stdout = (text: string): void => void (written += text);
  await showContainers({ host: session.host, dataDir, json: true, stdout } as CommandContext);
  JSON.parse(written);
};

/** As the command does it. */
export const gc = async (session: Session): Promise<void> => {
  await removeAllStaleWork(session.host, session.dataDir);
  await session.shared.mend();
  const [failure] = (await collect(session, silent)).failures;
  if (failure !== undefined) throw failure;
};

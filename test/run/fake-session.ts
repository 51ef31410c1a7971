// A session of one runspec process on a fake machine, and what the commands do with it.
import type { Archives } from '../../src/host/archives.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { SharedRuns } from '../../src/run/application.ts';
import { applyChanges } from '../../src/run/apply.ts';
import { computeChanges, type Change } from '../../src/run/changes.ts';
import { createLooks } from '../../src/run/looks.ts';
import { recordedSteps } from '../../src/run/records.ts';
import type { StepReport } from '../../src/run/report.ts';
import { revertSteps } from '../../src/run/revert.ts';
import { opContext, openSession, type Session } from '../../src/run/session.ts';
import { createTransaction } from '../../src/run/transaction.ts';
import { createFakeHost } from '../support/fake-host.ts';
import { createGate, type Breakage } from '../support/fake/gate.ts';
import type { FakeMachine } from '../support/fake/machine.ts';

export const DATA = '/var/lib/runspec';

export function open(
  machine: FakeMachine,
  breakage?: Breakage,
  signal = new AbortController().signal,
  stateDir = '/run/runspec',
): Promise<Session> {
  const host = createFakeHost(machine, createGate(breakage));
  return openSession({
    host,
    archives: {} as Archives,
    stateDir,
    dataDir: DATA,
    signal,
    onSignal: () => () => undefined,
  });
}

export async function changesOf(session: Session, plan: Plan): Promise<readonly Change[]> {
  const record = await session.records.read(plan.name);
  const context = opContext(session, plan.name, () => undefined);
  return computeChanges(context, plan, record === undefined ? [] : recordedSteps(record));
}

/** As `apply` of the command line does it. */
export async function apply(
  session: Session,
  plan: Plan,
  keepOnFailure = false,
  onStep: (report: StepReport) => void = () => undefined,
): Promise<readonly StepReport[]> {
  const reports: StepReport[] = [];
  const sharedRuns: SharedRuns = new Map();
  await applyChanges({
    context: opContext(session, plan.name, () => undefined),
    records: session.records,
    shared: session.shared,
    sharedRuns,
    sharedUpdates: new Map(),
    looks: createLooks(session.host),
    bootId: session.bootId,
    report: {
      step: (report) => {
        reports.push(report);
        onStep(report);
      },
      progress: () => undefined,
      rollback: () => undefined,
    },
    plan,
    changes: await changesOf(session, plan),
    record: await session.records.read(plan.name),
    specFile: 'web.yaml',
    keepOnFailure,
    part: createTransaction(new Map([[plan.name, []]]), () => undefined).part(plan.name),
  });
  return reports;
}

/** As `down` does it; gives what could not be undone. */
export async function down(session: Session, name: string): Promise<readonly Error[]> {
  const record = await session.records.read(name);
  const failures =
    record === undefined
      ? []
      : await revertSteps(
          {
            context: opContext(session, name, () => undefined),
            records: session.records,
            shared: session.shared,
            report: { step: () => undefined, progress: () => undefined, rollback: () => undefined },
            before: record.before,
            options: { volumes: false },
          },
          recordedSteps(record),
        );
  if (failures.length === 0) await session.records.remove(name);
  return failures;
}

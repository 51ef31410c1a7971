// status: one container's steps compared with the kernel.
import { UsageError } from '../errors.ts';
import { opOf } from '../ops/index.ts';
import type { Difference, Probe } from '../ops/op.ts';
import type { Step } from '../plan/plan.ts';
import { recordedSteps } from '../run/records.ts';
import { opContext, openSession } from '../run/session.ts';
import { readContainerState } from '../runtime/container-state.ts';
import { recordsFolder } from '../runtime/records.ts';
import { EXIT, type CommandContext } from './context.ts';
import { paint } from './paint.ts';
import { toRow } from './ps.ts';
import { describe } from './reporter.ts';

export async function status(context: CommandContext, name: string): Promise<number> {
  const session = await openSession(context);
  const record = await session.records.read(name);
  if (record === undefined) {
    const known = await session.records.names();
    throw new UsageError(
      `there is no container ${name}`,
      known.length === 0 ? 'no container is up' : `up are: ${known.join(', ')}`,
    );
  }
  const steps = record.applied?.steps ?? recordedSteps(record);
  const ops = opContext(session, name, () => undefined);
  const probes = await Promise.all(steps.map((step) => opOf(step).probe(ops, step)));
  const row = toRow(
    record,
    record.bootId === session.bootId,
    await readContainerState(context.host, recordsFolder(context.dataDir, name)),
  );
  const clean = record.pending === undefined && probes.every((probe) => probe.state === 'present');
  if (context.json) {
    const found = steps.map((step, index) => toJson(step, probes[index] as Probe));
    context.stdout(`${JSON.stringify({ ...row, clean, steps: found }, undefined, 2)}\n`);
  } else {
    context.stdout(
      `${paint(context, 'bold', name)}  ${row.state}${row.pid === null ? '' : `  pid ${row.pid}`}\n`,
    );
    steps.forEach((step, index) => context.stdout(renderStep(context, step, probes[index] as Probe)));
    if (record.pending !== undefined)
      context.stdout(`an apply was cut short: apply again, or take it down\n`);
  }
  return clean ? EXIT.done : EXIT.changes;
}

function toJson(step: Step, probe: Probe): unknown {
  const differences: readonly Difference[] = probe.state === 'drifted' ? probe.differences : [];
  return { id: step.id, op: step.op, state: probe.state, differences, object: describe(step) };
}

function renderStep(context: CommandContext, step: Step, probe: Probe): string {
  const color = probe.state === 'present' ? 'green' : probe.state === 'drifted' ? 'yellow' : 'red';
  const differences = probe.state === 'drifted' ? probe.differences : [];
  const details = differences.map(
    (one) => `${' '.repeat(12)}${one.property}: ${one.found}, not ${one.wanted}\n`,
  );
  return `  ${paint(context, color, probe.state.padEnd(8))}  ${step.id.padEnd(28)} ${describe(step)}\n${details.join('')}`;
}

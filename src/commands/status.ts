// status: one container's steps compared with the kernel.
import { printable } from '../load/render-diagnostic.ts';
import { opOf } from '../ops/index.ts';
import type { Difference, Probe } from '../ops/op.ts';
import type { Step } from '../plan/plan.ts';
import { recordedSteps } from '../run/records.ts';
import { findShadows } from '../run/shadows.ts';
import { opContext, openSession } from '../run/session.ts';
import { readAsOfNow } from '../run/shared-ipv6.ts';
import { EXIT, type CommandContext } from './context.ts';
import { paint } from './paint.ts';
import { readRow, showState } from './ps.ts';
import { describe } from './reporter.ts';
import { unknownContainer } from './unknown-container.ts';

export async function status(context: CommandContext, name: string): Promise<number> {
  const session = await openSession(context);
  const record = await session.records.read(name);
  if (record === undefined) throw await unknownContainer(session.records, name);
  const recorded = record.applied?.steps ?? recordedSteps(record);
  const steps = await readAsOfNow(session.shared, name, recorded);
  const ops = opContext(session, name, () => undefined);
  const probes = await Promise.all(steps.map((step) => opOf(step).probe(ops, step)));
  const shadows = await findShadows(ops, steps, (text) => context.stderr(printable(text)));
  const row = await readRow(session, record);
  const clean =
    record.pending === undefined && probes.every((probe) => probe.state === 'present') && shadows.size === 0;
  if (context.json) {
    const found = steps.map((step, index) => toJson(step, probes[index] as Probe, shadows.get(step.id)));
    context.stdout(`${JSON.stringify({ ...row, clean, steps: found }, undefined, 2)}\n`);
  } else {
    context.stdout(
      `${paint({ color: context.colorOfData }, 'bold', name)}  ${showState(row, context.host.now())}${row.pid === null ? '' : `  pid ${row.pid}`}\n`,
    );
    steps.forEach((step, index) =>
      context.stdout(renderStep(context, step, probes[index] as Probe, shadows.get(step.id))),
    );
    if (record.pending !== undefined)
      context.stdout(`an apply was cut short: apply again, or take it down\n`);
  }
  return clean ? EXIT.done : EXIT.changes;
}

type State = Probe['state'] | 'shadowed';

/** State of a step: a fault of the object itself goes before a shadow over it. */
function stateOf(probe: Probe, shadows: readonly string[]): State {
  return probe.state === 'present' && shadows.length > 0 ? 'shadowed' : probe.state;
}

function toJson(step: Step, probe: Probe, shadows: readonly string[] = []): unknown {
  const differences: readonly Difference[] = probe.state === 'drifted' ? probe.differences : [];
  const state = stateOf(probe, shadows);
  return { id: step.id, op: step.op, state, differences, shadows, object: describe(step) };
}

const COLORS = { present: 'green', drifted: 'yellow', shadowed: 'yellow', absent: 'red' } as const;

function renderStep(
  context: CommandContext,
  step: Step,
  probe: Probe,
  shadows: readonly string[] = [],
): string {
  const state = stateOf(probe, shadows);
  const differences = probe.state === 'drifted' ? probe.differences : [];
  const details = [
    ...differences.map((one) => `${one.property}: ${one.found}, not ${one.wanted}`),
    ...shadows.map((one) => `shadowed: ${one}`),
  ].map((text) => `${' '.repeat(12)}${printable(text)}\n`);
  return `  ${paint({ color: context.colorOfData }, COLORS[state], state.padEnd(8))}  ${printable(`${step.id.padEnd(28)} ${describe(step)}`)}\n${details.join('')}`;
}

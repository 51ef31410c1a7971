// Shows a run as it goes: a line a step for people, one JSON event a line for programs.
import { printable } from '../load/render-diagnostic.ts';
import { opOf } from '../ops/index.ts';
import type { Step } from '../plan/plan.ts';
import type { Action } from '../run/changes.ts';
import type { Reporter, StepReport } from '../run/report.ts';
import type { CommandContext } from './context.ts';
import { paint } from './paint.ts';

export const MARKS: Readonly<Record<Action, string>> = {
  create: '+',
  update: '~',
  replace: '±',
  delete: '-',
  none: ' ',
};

/** Describes a step. Names are as in the spec, control characters included: to be shown, the text needs `printable`. */
export function describe(step: Step): string {
  return opOf(step).describe(step);
}

export function createReporter(context: CommandContext): Reporter {
  if (context.json) return jsonReporter(context);
  return {
    step(report) {
      if (context.quiet || (report.outcome === 'gone' && !context.verbose)) return;
      if (report.outcome === 'kept' && report.step.op === 'layer' && !context.verbose) return;
      context.stderr(renderStep(context, report));
    },
    progress(container, step, text) {
      if (!context.quiet) context.stderr(printable(`  ${container}  ${step}  ${text}`));
    },
    rollback(container, { step, failed }) {
      const what =
        step !== undefined
          ? `step ${step} failed`
          : failed !== undefined
            ? `${failed} failed`
            : 'interrupted';
      context.stderr(paint(context, 'red', printable(`${container}: ${what}, undoing what was done`)));
    },
  };
}

function renderStep(context: CommandContext, report: StepReport): string {
  const { container, step, action, outcome, milliseconds, reason } = report;
  const color = outcome === 'failed' ? 'red' : action === 'delete' ? 'dim' : 'green';
  const mark = outcome === 'failed' ? '!' : outcome === 'kept' ? '=' : MARKS[action];
  const note = reason === undefined ? '' : ` (${outcome === 'kept' ? 'kept: ' : ''}${reason})`;
  const text = printable(`${container}  ${describe(step)}${note}`);
  return `${paint(context, color, mark)} ${text}  ${paint(context, 'dim', `${Math.round(milliseconds)} ms`)}`;
}

function jsonReporter(context: CommandContext): Reporter {
  const emit = (event: Readonly<Record<string, unknown>>): void =>
    context.stdout(`${JSON.stringify(event)}\n`);
  return {
    step: ({ container, step, action, outcome, milliseconds, reason }) =>
      emit({
        event: 'step',
        container,
        step: step.id,
        op: step.op,
        action,
        outcome,
        milliseconds,
        ...(reason === undefined ? {} : { reason }),
      }),
    progress: (container, step, text) => emit({ event: 'progress', container, step, text }),
    rollback: (container, because) => emit({ event: 'rollback', container, ...because }),
  };
}

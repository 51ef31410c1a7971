// Errors for people: what failed, the command and its stderr, a hint, and what could not be cleaned up. The texts may
// have words of images and registries in them, which reach no terminal as they are.
import { constants } from 'node:os';
import {
  BusyError,
  InterruptedError,
  InvalidSpecError,
  OperationError,
  SeveralFailures,
  UsageError,
} from '../errors.ts';
import { hintFor } from '../host/commands.ts';
import { printable } from '../load/render-diagnostic.ts';
import { quoteAll } from '../ops/shell.ts';
import { EXIT } from './context.ts';
import { paint } from './paint.ts';

export interface RenderedFailure {
  readonly lines: readonly string[];
  readonly status: number;
}

export function renderFailure(error: unknown, color: boolean): RenderedFailure {
  const label = paint({ color }, 'red', 'error:');
  const hint = (text: string | undefined): readonly string[] =>
    text === undefined ? [] : [`  ${paint({ color }, 'yellow', 'hint:')} ${plain(text)}`];
  if (error instanceof InvalidSpecError) {
    const count = error.diagnostics.length;
    return {
      status: EXIT.invalid,
      lines: [`${count} ${count === 1 ? 'problem' : 'problems'}; nothing was changed`],
    };
  }
  if (error instanceof UsageError)
    return { status: EXIT.invalid, lines: [`${label} ${plain(error.message)}`, ...hint(error.hint)] };
  if (error instanceof BusyError)
    return {
      status: EXIT.busy,
      lines: [`${label} ${plain(error.message)}`, ...hint(error.hint)],
    };
  if (error instanceof InterruptedError) {
    const left = error.cleanup.length === 0 ? ', rolled back' : ', rolled back in part';
    return {
      status: 128 + constants.signals[error.signal],
      lines: [
        `${error.message}${error.hadBegun ? left : ''}`,
        ...error.cleanup.flatMap((one) => renderCause(one)),
      ],
    };
  }
  if (error instanceof SeveralFailures) {
    const each = error.failures.map((failure) => renderFailure(failure, color));
    return {
      status: EXIT.failed,
      lines: [...each.flatMap(({ lines }) => lines), `${label} ${error.message}`],
    };
  }
  if (error instanceof OperationError) {
    const place = error.place === undefined ? '' : `${error.place}: `;
    const step = error.step === undefined ? '' : `${printable(error.step)}: `;
    return {
      status: EXIT.failed,
      lines: [
        `${plain(place)}${label} ${step}${plain(error.message)}`,
        ...renderDetails(error),
        ...hint(error.hint),
        ...renderCleanup(error),
      ],
    };
  }
  const remedy = error instanceof Error && 'code' in error ? hintFor(error.message) : undefined;
  // A full or read-only disk is no fault of the program: a hint, and no stack.
  if (remedy !== undefined)
    return {
      status: EXIT.failed,
      lines: [`${label} ${plain((error as Error).message)}`, ...hint(remedy)],
    };
  // An unforeseen error: its stack is what a report needs.
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { status: EXIT.failed, lines: [`${label} ${plain(text)}`] };
}

function renderDetails(error: OperationError): readonly string[] {
  if (error.command === undefined) return [];
  const { argv, status, stderr } = error.command;
  const ended = status === undefined ? 'no exit status' : `exit status ${status}`;
  return [
    `  command: ${plain(quoteAll(argv))} (${ended})`,
    ...stderr
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => `  | ${plain(line)}`),
  ];
}

function renderCleanup(error: OperationError): readonly string[] {
  if (error.cleanup.length === 0) return [];
  return ['  not cleaned up:', ...error.cleanup.flatMap((one) => renderCause(one))];
}

function renderCause(error: Error): readonly string[] {
  const place = error instanceof OperationError && error.place !== undefined ? `${error.place}: ` : '';
  const step =
    error instanceof OperationError && error.step !== undefined ? `${printable(error.step)}: ` : '';
  const details =
    error instanceof OperationError
      ? [
          ...renderDetails(error),
          ...(error.hint === undefined ? [] : [`  hint: ${plain(error.hint)}`]),
          ...renderCleanup(error),
        ]
      : [];
  return [`  - ${plain(place + step + error.message)}`, ...details.map((line) => `  ${line}`)];
}

/** Makes text printable, except for line ends: a stack has several. */
function plain(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

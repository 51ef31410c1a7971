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

/** Names of containers that one failure shows at most. */
const SHOWN = 5;

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
  if (error instanceof SeveralFailures)
    return {
      status: EXIT.failed,
      lines: [...renderSeveral(error.failures, color), `${label} ${error.message}`],
    };
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

/** What twenty containers have in common, as a folder that cannot be made, is told once and names them. */
function renderSeveral(failures: readonly Error[], color: boolean): readonly string[] {
  const containersOf = new Map<string, readonly string[]>();
  for (const failure of failures) {
    const text = renderFailure(failure, color).lines.join('\n');
    const own = failure instanceof OperationError ? (failure.container ?? []) : [];
    containersOf.set(text, (containersOf.get(text) ?? []).concat(own));
  }
  const isOfSeveral = new Set([...containersOf.values()].flat()).size > 1;
  return [...containersOf].flatMap(([text, containers]) => {
    const [first = '', ...others] = text.split('\n');
    return [first, ...(isOfSeveral ? nameContainers(containers) : []), ...others];
  });
}

function nameContainers(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return [`  ${names.length === 1 ? 'container' : 'containers'}: ${names.slice(0, SHOWN).join(', ')}${more}`];
}

function renderDetails({ command, output = [] }: OperationError): readonly string[] {
  const written = output.map((line) => `  | ${plain(line)}`);
  if (command === undefined) return written;
  const { argv, status, stderr } = command;
  const ended = status === undefined ? 'no exit status' : `exit status ${status}`;
  return [
    `  command: ${plain(quoteAll(argv))} (${ended})`,
    ...stderr
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => `  | ${plain(line)}`),
    ...written,
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

// A failure as JSON for programs: what --json gives in place of its document, or as its last event.
import {
  BusyError,
  InterruptedError,
  InvalidSpecError,
  OperationError,
  SeveralFailures,
  UsageError,
  type Diagnostic,
  type FailedCommand,
} from '../errors.ts';
import { hintFor } from '../host/commands.ts';

/** Problems of the specs, or failures of operations; never both. */
type FailureJson =
  | { readonly diagnostics: readonly Diagnostic[] }
  | { readonly failures: readonly OneFailure[] };

interface OneFailure {
  readonly message: string;
  readonly hint?: string | undefined;
  readonly container?: string | undefined;
  /** Id of a step of the plan. */
  readonly step?: string | undefined;
  /** Place in a spec, as `file:line:column`. */
  readonly place?: string | undefined;
  readonly command?: FailedCommand | undefined;
  /** Last lines that the process of a container wrote. */
  readonly output?: readonly string[] | undefined;
  /** Failures of the clean-up: what is left on the host, and why. */
  readonly cleanup?: readonly OneFailure[];
}

/** The last event of a command that prints events. */
export function failureEvent(error: unknown, status: number): string {
  return `${JSON.stringify({ event: 'failed', status, ...failureJson(error) })}\n`;
}

/** The document that a command prints in place of its own. */
export function failureDocument(error: unknown, status: number): string {
  return `${JSON.stringify({ failed: true, status, ...failureJson(error) }, undefined, 2)}\n`;
}

function failureJson(error: unknown): FailureJson {
  if (error instanceof InvalidSpecError) return { diagnostics: error.diagnostics };
  return { failures: flatten(error).map(describe) };
}

function flatten(error: unknown): readonly unknown[] {
  return error instanceof SeveralFailures ? error.failures.flatMap(flatten) : [error];
}

function describe(error: unknown): OneFailure {
  if (error instanceof OperationError) {
    const { message, hint, container, step, place, command, output, cleanup } = error;
    return { message, hint, container, step, place, command, output, ...describeLeft(cleanup) };
  }
  if (error instanceof InterruptedError) return { message: error.message, ...describeLeft(error.cleanup) };
  if (error instanceof UsageError || error instanceof BusyError)
    return { message: error.message, hint: error.hint };
  const { message } = error instanceof Error ? error : new Error(String(error));
  return { message, hint: error instanceof Error && 'code' in error ? hintFor(message) : undefined };
}

function describeLeft(cleanup: readonly Error[]): Pick<OneFailure, 'cleanup'> {
  return cleanup.length === 0 ? {} : { cleanup: cleanup.map(describe) };
}

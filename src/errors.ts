// The two ways runspec says no: diagnostics about a spec, and the failure of an operation.
// Nothing here prints; only cli.ts does.

/** Where a value stands in the document: keys and list indexes from the root, as in `['network', 'ports', 0]`. */
export type SpecPath = readonly (string | number)[];

/** A place in a text; `line` and `column` count from 1, `offset` from 0, in UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
  readonly offset: number;
}

export interface SourceRange {
  readonly start: Position;
  readonly end: Position;
}

/** One problem of a spec. A value: collected, sorted and rendered once, for people or as JSON. */
export interface Diagnostic {
  /** Stable kebab-case name of the rule, such as `unknown-key` or `port-taken`. */
  readonly code: string;
  readonly severity: 'error' | 'warning';
  /** Lower case, no full stop, names the object and the value. */
  readonly message: string;
  /** What the reader can do about it. */
  readonly hint?: string;
  readonly path: SpecPath;
  readonly file?: string;
  readonly range?: SourceRange;
}

/** The spec, or what it asks of this host, is wrong; nothing was touched. Exit status 2. */
export class InvalidSpecError extends Error {
  override readonly name = 'InvalidSpecError';
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map((diagnostic) => diagnostic.message).join('; '));
    this.diagnostics = diagnostics;
  }
}

/** The command line is wrong, or a condition for starting at all is not met; nothing was touched. Exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** What a command that failed looked like, for the person who has to repair it. */
export interface FailedCommand {
  readonly argv: readonly string[];
  /** Exit status, or undefined when a signal ended it or it could not be started. */
  readonly status: number | undefined;
  readonly stderr: string;
}

export interface OperationErrorDetails {
  readonly hint?: string | undefined;
  /** Name of the container that it is about. */
  readonly container?: string | undefined;
  /** Id of the step that failed. */
  readonly step?: string | undefined;
  /** What in the spec asked for the thing that failed. */
  readonly path?: SpecPath | undefined;
  /** Where in the container the mount goes that failed, when it is known by that alone. */
  readonly destination?: string | undefined;
  /** `path` as `file:line:col`, once the text is at hand. */
  readonly place?: string | undefined;
  readonly command?: FailedCommand | undefined;
  /** Last lines that the process of a container wrote. */
  readonly output?: readonly string[] | undefined;
  readonly cause?: unknown;
  /** What could not be cleaned up after the failure. */
  readonly cleanup?: readonly Error[] | undefined;
}

/** An operation on the host failed. Exit status 1. The message is lower case and names the object. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  readonly hint: string | undefined;
  readonly container: string | undefined;
  readonly step: string | undefined;
  readonly path: SpecPath | undefined;
  readonly destination: string | undefined;
  readonly place: string | undefined;
  readonly command: FailedCommand | undefined;
  readonly output: readonly string[] | undefined;
  readonly cleanup: readonly Error[];

  constructor(message: string, details: OperationErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.hint = details.hint;
    this.container = details.container;
    this.step = details.step;
    this.path = details.path;
    this.destination = details.destination;
    this.place = details.place;
    this.command = details.command;
    this.output = details.output;
    this.cleanup = details.cleanup ?? [];
  }

  /** The same failure, with what else is known of it. */
  with(details: OperationErrorDetails): OperationError {
    const { hint, container, step, path, destination, place, command, output, cause, cleanup } = this;
    const known = { hint, container, step, path, destination, place, command, output, cause, cleanup };
    return new OperationError(this.message, { ...known, ...details });
  }
}

/** Several containers of one call failed, each for reasons of its own. Exit status 1. */
export class SeveralFailures extends Error {
  override readonly name = 'SeveralFailures';
  readonly failures: readonly Error[];

  constructor(message: string, failures: readonly Error[]) {
    super(message);
    this.failures = failures;
  }
}

/** Another runspec holds the lock past the time-out. Exit status 4. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
  readonly hint = 'try again, or wait longer with --lock-timeout';
}

/** SIGINT or SIGTERM arrived, and what was begun, if anything, has been rolled back. Exit status 128 + the signal's number. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP';
  /** What could not be rolled back. */
  readonly cleanup: readonly Error[];
  readonly hadBegun: boolean;

  /** @param cleanup absent where nothing had been begun. */
  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', cleanup?: readonly Error[]) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
    this.cleanup = cleanup ?? [];
    this.hadBegun = cleanup !== undefined;
  }
}

/** What was made for a container was undone, as another one of the same apply has failed, which tells why. */
export class UndoneError extends Error {
  override readonly name = 'UndoneError';
  readonly container: string;
  /** What could not be undone. */
  readonly cleanup: readonly Error[];

  constructor(container: string, cleanup: readonly Error[]) {
    super(`${container} was undone with the other containers of the call`);
    this.container = container;
    this.cleanup = cleanup;
  }
}

/** A step that was begun was not completed, as one that it awaits has failed or the user has interrupted. Never shown. */
export class UnreachedError extends Error {
  override readonly name = 'UnreachedError';

  constructor(step: string) {
    super(`${step} was not completed: what it awaits is not there`);
  }
}

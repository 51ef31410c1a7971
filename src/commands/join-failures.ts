// One error for all containers of a call that failed.
import { InterruptedError, SeveralFailures } from '../errors.ts';

/** @param message for the case of several failures, as in `2 of 3 containers failed`. */
export function joinFailures(failures: readonly [Error, ...Error[]], message: string): Error {
  const [first, ...others] = failures;
  if (others.length === 0) return first;
  const interrupted = failures.find((failure) => failure instanceof InterruptedError);
  if (interrupted === undefined) return new SeveralFailures(message, failures);
  // All containers were rolled back for the same signal; the other failures are what could not be rolled back.
  const cleanup = failures.flatMap((failure) =>
    failure instanceof InterruptedError ? failure.cleanup : [failure],
  );
  return new InterruptedError(interrupted.signal, cleanup);
}

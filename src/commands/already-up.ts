// The error of `run` for a container that is up already.
import { UsageError } from '../errors.ts';

export function alreadyUp(name: string): UsageError {
  return new UsageError(
    `${name} is up already`,
    `take it down first (runspec down ${name}), or use: runspec exec ${name}`,
  );
}

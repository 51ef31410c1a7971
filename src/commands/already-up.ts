// What `run` says of a container that is there.
import { UsageError } from '../errors.ts';

export function alreadyUp(name: string): UsageError {
  return new UsageError(
    `${name} is up already`,
    `take it down first (runspec down ${name}), or use: runspec exec ${name}`,
  );
}

// The error for a container's name that has no readable record.
import { UsageError } from '../errors.ts';
import type { Records } from '../run/records.ts';

export async function unknownContainer(records: Records, name: string): Promise<UsageError> {
  const known = await records.names();
  if (known.includes(name))
    return new UsageError(
      `the record of ${name} cannot be read`,
      `runspec down ${name} takes away what is on the host of it; apply its spec to bring it up anew`,
    );
  return new UsageError(
    `no container ${name} is up`,
    known.length === 0 ? 'none is' : `up are: ${known.join(', ')}`,
  );
}

// requireRoot: the check that every command that acts as root begins with.
import { UsageError } from '../errors.ts';
import { requireRootsAlone } from '../run/check-places.ts';
import type { CommandContext } from './context.ts';

/** @throws UsageError without root, and when the data or state folder is not root's alone. */
export async function requireRoot({ isRoot, host, dataDir, stateDir }: CommandContext): Promise<void> {
  if (!isRoot)
    throw new UsageError(
      'this needs root',
      'run it with sudo; validate, plan, doctor and schema do not need it',
    );
  await Promise.all([requireRootsAlone(host, 'data', dataDir), requireRootsAlone(host, 'state', stateDir)]);
}

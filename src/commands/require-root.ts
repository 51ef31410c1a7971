import { UsageError } from '../errors.ts';
import type { CommandContext } from './context.ts';

export function requireRoot(context: CommandContext): void {
  if (!context.isRoot)
    throw new UsageError(
      'this needs root',
      'run it with sudo; validate, plan, doctor and schema do not need it',
    );
}

// Empty values, which a shell makes of variables that are not set: as a path, one would mean the working folder.
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { OPERANDS_BEFORE } from './end-options.ts';

/** An empty variable counts as one that is not set. */
export function passOverEmptyVariables({ options }: Command): void {
  for (const option of options)
    if (option.envVar !== undefined && process.env[option.envVar] === '') delete option.envVar;
}

/** Refuses empty operands, except those of a command of the user's. @throws UsageError */
export function refuseEmptyOperands(command: Command): void {
  const own = command.args.slice(0, OPERANDS_BEFORE[command.name()]);
  const index = own.indexOf('');
  if (index === -1) return;
  const declared = command.registeredArguments;
  const name = declared[Math.min(index, declared.length - 1)]?.name() ?? 'argument';
  throw new UsageError(
    `${command.name()}: argument ${name} is empty`,
    'was it a shell variable that is not set?',
  );
}

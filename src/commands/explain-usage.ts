// What is wrong with a command line, in our words and with the help that has the right one.
import type { Command, CommanderError } from 'commander';
import { UsageError } from '../errors.ts';

export function explainUsage(error: CommanderError, program: Command, argv: readonly string[]): UsageError {
  const [message = '', ...more] = error.message.replace(/^error: /, '').split('\n');
  const near = /^\(Did you mean (?:one of )?(.*)\?\)$/.exec(more.join(' '))?.[1];
  if (near !== undefined) return new UsageError(message, `did you mean ${near}?`);
  const name = program.commands.find((one) => argv.includes(one.name()))?.name();
  return new UsageError(message, `see runspec ${name === undefined ? '' : `${name} `}--help`);
}

// Errors of a command line in our words, with a hint at the right word or at the help that has it.
import type { Command, CommanderError } from 'commander';
import { UsageError } from '../errors.ts';
import { suggest } from '../load/suggest.ts';

/** Refuses `help nope`, for which commander would show the help of all commands. @throws UsageError */
export function refuseUnknownTopic([word, topic]: readonly string[], program: Command): void {
  if (word !== 'help' || topic === undefined || topic.startsWith('-') || topic === 'help') return;
  const names = program.commands.map((one) => one.name());
  if (names.includes(topic)) return;
  const near = suggest(topic, names);
  throw new UsageError(
    `unknown command '${topic}'`,
    near === undefined ? 'see runspec --help' : `did you mean ${near}?`,
  );
}

export function explainUsage(error: CommanderError, program: Command, argv: readonly string[]): UsageError {
  const [message = '', ...more] = error.message.replace(/^error: /, '').split('\n');
  const near = /^\(Did you mean (?:one of )?(.*)\?\)$/.exec(more.join(' '))?.[1];
  if (near !== undefined) return new UsageError(message, `did you mean ${near}?`);
  const command = program.commands.find((one) => argv.includes(one.name()));
  const name = command?.name();
  const option = /^unknown option '(--?[\w-]+)'$/.exec(message)?.[1];
  const isBehind = command?.options.some(({ short, long }) => option === short || option === long);
  if (option !== undefined && isBehind === true)
    return new UsageError(message, `write it behind the command: runspec ${name} ${option}`);
  return new UsageError(message, `see runspec ${name === undefined ? '' : `${name} `}--help`);
}

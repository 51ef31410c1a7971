// completion: a script for the user's shell, made from the commands themselves.
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { EXIT, type CommandContext } from './context.ts';

export function completion(context: CommandContext, shell: string, program: Command): number {
  switch (shell) {
    case 'bash':
      context.stdout(bash(program));
      return EXIT.done;
    case 'zsh':
      context.stdout(`#compdef runspec\nautoload -U +X bashcompinit && bashcompinit\n${bash(program)}`);
      return EXIT.done;
    case 'fish':
      context.stdout(fish(program));
      return EXIT.done;
    default:
      throw new UsageError(`there is no completion for ${shell}`, 'choose bash, zsh or fish');
  }
}

/** Commands whose arguments are, or can be, names of containers. */
const BY_NAME = ['validate', 'plan', 'apply', 'down', 'status', 'exec', 'logs', 'diff', 'commit'];

/** Names are read from ps, so that completion needs no privilege of its own. */
const NAMES = `runspec ps 2>/dev/null | awk 'NR > 1 { print $1 }'`;

const SHELLS = 'bash zsh fish';

/** Options that take the word after them. */
function withValue(program: Command): string {
  return program.options.flatMap((option) => (option.required ? (option.long ?? []) : [])).join('|');
}

/** Words that can follow a command: its subcommands, its options and the options of its subcommands. */
function wordsOf(command: Command): string {
  const below = new Set(command.commands.flatMap((one) => longOptions(one).split(' ')));
  const names = command.commands.map((one) => one.name());
  const shells = command.name() === 'completion' ? [SHELLS] : [];
  return [...names, ...shells, longOptions(command), ...below].filter((word) => word !== '').join(' ');
}

function longOptions(command: Command): string {
  return command.options.flatMap((option) => option.long ?? []).join(' ');
}

function bash(program: Command): string {
  const cases = program.commands.map((command) => {
    const words = wordsOf(command);
    const names = BY_NAME.includes(command.name()) ? ` $(${NAMES})` : '';
    return `    ${command.name()}) COMPREPLY=($(compgen -W "${words}${names}" -- "$word")) ;;`;
  });
  return [
    '_runspec() {',
    '  local word="${COMP_WORDS[COMP_CWORD]}" command="" candidate value=""',
    '  for candidate in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    if [ -n "$value" ]; then value=""; continue; fi',
    `    case "$candidate" in ${withValue(program)}) value=next ;; -*) ;; *) command="$candidate"; break ;; esac`,
    '  done',
    '  case "$command" in',
    `    "") COMPREPLY=($(compgen -W "${program.commands.map((one) => one.name()).join(' ')} ${longOptions(program)}" -- "$word")) ;;`,
    ...cases,
    '  esac',
    '}',
    'complete -o default -F _runspec runspec',
    '',
  ].join('\n');
}

function fish(program: Command): string {
  const commands = program.commands.map(
    (command) =>
      `complete -c runspec -n __fish_use_subcommand -f -a ${command.name()} -d "${command.description().replaceAll('"', '\\"')}"`,
  );
  const options = program.commands.flatMap((command) =>
    command.options.flatMap((option) =>
      typeof option.long === 'string'
        ? [
            `complete -c runspec -n "__fish_seen_subcommand_from ${command.name()}" -l ${option.long.slice(2)} -d "${option.description}"`,
          ]
        : [],
    ),
  );
  const names = BY_NAME.map(
    (name) =>
      `complete -c runspec -n "__fish_seen_subcommand_from ${name}" -a "(${NAMES.replaceAll('$', '\\$')})"`,
  );
  return `${[...commands, ...options, ...names].join('\n')}\n`;
}

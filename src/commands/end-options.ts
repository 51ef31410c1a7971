// endOptions: options of runspec end, and those of the user's command begin, at its first word, as in `exec web ls -h`.
import type { Command, Option } from 'commander';

/** Number of operands before the user's command. */
export const OPERANDS_BEFORE: Readonly<Record<string, number>> = { exec: 1, run: 1, leakcheck: 0 };

/** The same arguments with `--` before the user's command, unless the user has put one somewhere. */
export function endOptions(argv: readonly string[], program: Command): readonly string[] {
  let left: number | undefined;
  let options: readonly Option[] = program.options;
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    if (word === '--') return argv;
    if (word.startsWith('-') && word !== '-') {
      if (takesNext(word, options)) index += 1;
    } else if (left === undefined) {
      const command = program.commands.find((one) => one.name() === word);
      left = OPERANDS_BEFORE[word];
      if (command === undefined || left === undefined) return argv;
      options = [...program.options, ...command.options];
    } else if (left === 0) {
      return [...argv.slice(0, index), '--', ...argv.slice(index)];
    } else {
      left -= 1;
    }
  }
  return argv;
}

/** Whether the value of an option is the word after it: `-u root`, and neither `-uroot` nor `--user=root`. */
function takesNext(word: string, options: readonly Option[]): boolean {
  const takesValue = (flag: string): boolean =>
    options.some((option) => (option.short === flag || option.long === flag) && option.required);
  if (word.startsWith('--')) return takesValue(word);
  const letters = word.slice(1).match(/./gs) ?? [];
  return letters.findIndex((letter) => takesValue(`-${letter}`)) === letters.length - 1;
}

// Wrong command lines: said in one line, with a hint that leads to the right one.
import { expect, test } from 'vitest';
import { createProgram } from '../../src/commands/program.ts';
import type { UsageError } from '../../src/errors.ts';

function call(...argv: readonly string[]): Promise<number> {
  const refuse = (): Promise<never> => Promise.reject(new Error('nothing is to be run'));
  const run = createProgram('1', refuse, () => undefined);
  return run(argv);
}

test.each([
  [['aply'], "unknown command 'aply'", 'did you mean apply?'],
  [['apply', '--jso', 'a'], "unknown option '--jso'", 'did you mean --json?'],
  [['apply'], "missing required argument 'spec'", 'see runspec apply --help'],
  [['--foo'], "unknown option '--foo'", 'see runspec --help'],
  [['--json', 'ps'], "unknown option '--json'", 'write it behind the command: runspec ps --json'],
  [
    ['--quiet', '-t', 'exec', 'web', 'sh'],
    "unknown option '-t'",
    'write it behind the command: runspec exec -t',
  ],
  [['help', 'aply'], "unknown command 'aply'", 'did you mean apply?'],
  [['help', 'nope'], "unknown command 'nope'", 'see runspec --help'],
  [['exec', '--foo', 'web', 'ls', '--bar'], "unknown option '--foo'", 'see runspec exec --help'],
])('%j', async (argv, message, hint) => {
  const error = await call(...argv).catch((reason: unknown) => reason as UsageError);
  expect(error).toMatchObject({ name: 'UsageError', message, hint });
});

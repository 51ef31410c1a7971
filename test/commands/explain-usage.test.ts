// Wrong command lines: said in one line, with a hint that leads to the right one.
import { expect, test } from 'vitest';
import { createProgram } from '../../src/commands/program.ts';
import type { UsageError } from '../../src/errors.ts';

function call(...argv: readonly string[]): Promise<number> {
  const run = createProgram('1', () => Promise.reject(new Error('nothing is to be run')));
  return run(argv);
}

test.each([
  [['aply'], "unknown command 'aply'", 'did you mean apply?'],
  [['apply', '--jso', 'a'], "unknown option '--jso'", 'did you mean --json?'],
  [['apply'], "missing required argument 'spec'", 'see runspec apply --help'],
  [['--foo'], "unknown option '--foo'", 'see runspec --help'],
  [
    ['exec', 'web', 'ls', '-l'],
    "unknown option '-l'",
    'put -- before the command to run, as in: runspec exec web -- ls -l',
  ],
  [
    ['run', 'web.yaml', 'ls', '-l'],
    "unknown option '-l'",
    'put -- before the command to run, as in: runspec run web.yaml -- ls -l',
  ],
])('%j', async (argv, message, hint) => {
  const error = await call(...argv).catch((reason: unknown) => reason as UsageError);
  expect(error).toMatchObject({ name: 'UsageError', message, hint });
});

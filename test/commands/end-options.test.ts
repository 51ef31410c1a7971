import { Command } from 'commander';
import { expect, it } from 'vitest';
import { endOptions } from '../../src/commands/end-options.ts';

const program = new Command('runspec').option('--data-dir <dir>').option('--quiet');
program
  .command('exec <name> <command...>')
  .option('-i, --interactive')
  .option('-t, --tty')
  .option('-u, --user <user>')
  .option('-e, --env <key=value>');
program.command('run <spec> [args...]').option('--json');
program.command('leakcheck <command...>').option('--settle <duration>');
program.command('apply <spec...>').option('--json');

it.each([
  ['exec web ls -h /', 'exec web -- ls -h /'],
  ['exec web -it bash -c x', 'exec web -it -- bash -c x'],
  ['exec -u root web id -u', 'exec -u root web -- id -u'],
  ['exec -uroot web id', 'exec -uroot web -- id'],
  ['exec web -iu root env -u HOME', 'exec web -iu root -- env -u HOME'],
  ['exec web --env A=b --user=root cat -', 'exec web --env A=b --user=root -- cat -'],
  ['--data-dir exec --quiet exec web ls -h', '--data-dir exec --quiet exec web -- ls -h'],
  ['exec web -- ls -- -h', 'exec web -- ls -- -h'],
  ['exec web ls -- -h', 'exec web -- ls -- -h'],
  ['exec web', 'exec web'],
  ['exec web -h', 'exec web -h'],
  ['run web.yaml --json ls -h', 'run web.yaml --json -- ls -h'],
  ['run -', 'run -'],
  ['leakcheck --settle 1s docker run --rm', 'leakcheck --settle 1s -- docker run --rm'],
  ['apply exec run --json', 'apply exec run --json'],
  ['nosuch exec web ls -h', 'nosuch exec web ls -h'],
])('%s', (given, wanted) => {
  expect(endOptions(given.split(' '), program).join(' ')).toBe(wanted);
});

// An empty argument must not stand for the working folder: `runspec down "$NAME"` without a NAME would take down all of it.
import { afterEach, expect, test, vi } from 'vitest';
import { createProgram, type Globals } from '../../src/commands/program.ts';

afterEach(() => void vi.unstubAllEnvs());

/** @returns what the command was to be run with. */
async function call(...argv: readonly string[]): Promise<Globals> {
  let globals: Globals | undefined;
  const run = createProgram(
    '1',
    (given) => {
      globals = given;
      return Promise.reject(new Error('nothing is to be run'));
    },
    () => undefined,
  );
  await run(argv).catch((error: unknown) => {
    if (globals === undefined) throw error;
  });
  if (globals === undefined) throw new Error('no command was called');
  return globals;
}

test.each([
  [['down', ''], 'down: argument targets is empty'],
  [['down', '--volumes', 'web', ''], 'down: argument targets is empty'],
  [['apply', ''], 'apply: argument spec is empty'],
  [['lock', ''], 'lock: argument spec is empty'],
  [['image', 'add', ''], 'add: argument file is empty'],
  [['exec', '', 'ls'], 'exec: argument name is empty'],
  [['run', '', 'ls'], 'run: argument spec is empty'],
  [['--data-dir', '', 'ps'], 'the name of a folder is empty'],
  [['--state-dir=', 'ps'], 'the name of a folder is empty'],
])('%j is a wrong use', async (argv, message) => {
  await expect(call(...argv)).rejects.toMatchObject({ name: 'UsageError', message });
});

test.each([
  ['exec', 'web', 'printf', ''],
  ['run', 'web.yaml', '--', ''],
  ['leakcheck', 'printf', ''],
])('%j gives its command an empty argument', async (...argv) => {
  await expect(call(...argv)).resolves.toBeDefined();
});

test('an empty variable counts as one that is not set', async () => {
  for (const name of ['RUNSPEC_STATE_DIR', 'RUNSPEC_DATA_DIR', 'RUNSPEC_ARCHIVE_LIMITS'])
    vi.stubEnv(name, '');
  const globals = await call('ps');
  expect(globals).toMatchObject({ stateDir: '/run/runspec', dataDir: '/var/lib/runspec' });
  expect(globals.archiveLimits).toBeUndefined();
  vi.stubEnv('RUNSPEC_DATA_DIR', '/srv/runspec');
  expect(await call('ps')).toMatchObject({ dataDir: '/srv/runspec' });
});

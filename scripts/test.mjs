// Runs every check and every tier of tests, whatever failed before, and counts. The last line is the
// result: `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

process.chdir(new URL('..', import.meta.url).pathname);
const inCi = ['1', 'true'].includes(process.env.CI ?? '');
const total = { passed: 0, failed: 0, skipped: 0 };
const complaints = [];
const failures = [];
const bin = (name) => join('node_modules/.bin', name);

function run(argv) {
  console.log(`\n$ ${argv.join(' ')}`);
  return spawnSync(argv[0], argv.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}

function check(name, argv) {
  const passed = run(argv);
  total[passed ? 'passed' : 'failed'] += 1;
  if (!passed) complaints.push(`${name} failed`);
}

/** Root for the tier that needs a kernel of its own; a developer's sudo serves. */
function asRoot(argv) {
  if (process.getuid() === 0) return argv;
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudo
    ? ['sudo', '-n', 'env', `PATH=${process.env.PATH}`, `CI=${process.env.CI ?? ''}`, ...argv]
    : argv;
}

function tier(name, wrap = (argv) => argv) {
  const folder = mkdtempSync(join(tmpdir(), 'runspec-test-'));
  const file = join(folder, 'report.json');
  try {
    const vitest = [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', '--project', name];
    const passed = run(
      wrap([...vitest, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`]),
    );
    const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
    failures.push(...failedTests(report));
    const failed = report?.numFailedTests ?? 0;
    total.passed += report?.numPassedTests ?? 0;
    total.skipped += (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
    // A file that does not load, or an unhandled error, fails the run without failing a test.
    total.failed += passed ? failed : Math.max(failed, 1);
    if (!passed) complaints.push(`the ${name} tier failed`);
    return report?.numPassedTests ?? 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Name and first lines of each failure: a long log may be cut, and its end is what is read first. */
function failedTests(report) {
  return (report?.testResults ?? []).flatMap((file) => {
    const failed = file.assertionResults.filter((test) => test.status === 'failed');
    const place = relative('.', file.name);
    if (failed.length === 0 && file.status === 'failed')
      return [
        `${place}: ${file.message.slice(0, 1500) || 'not in a test but beside them, as printed above'}`,
      ];
    return failed.map(
      (test) => `${place} > ${test.fullName}\n${test.failureMessages.join('\n').slice(0, 1500)}`,
    );
  });
}

check('generated files', [process.execPath, 'scripts/generate.mjs', '--check']);
check('lint', [bin('oxlint')]);
check('format', [bin('oxfmt'), '--check']);
check('dead code', [bin('knip')]);
check('types', [bin('tsc'), '--noEmit']);
check('build', [process.execPath, 'scripts/build.mjs']);
tier('pure');
tier('crash');
const systemTestsPassed = tier('system', asRoot);

if (systemTestsPassed === 0) {
  complaints.push(
    'THE SYSTEM TIER DID NOT RUN: no test on a real kernel passed; the reasons are printed above',
  );
  if (inCi && total.failed === 0) total.failed += 1;
}
for (const failure of failures) console.log(`\nFAILED ${failure}`);
for (const complaint of complaints) console.log(`\n!! ${complaint}`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;

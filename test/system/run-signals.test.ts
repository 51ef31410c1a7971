// run: signals reach the process in the foreground, or end it.
import fs from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { list } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec } from '../support/specs.ts';

describe.skipIf(!requireSystem())('run', () => {
  const getHost = shareHost();
  const write = (base: string, ...args: readonly string[]): PlacedSpec =>
    writeSpec(getHost(), base, { process: { args, stopTimeout: '5s' } });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const)('forwards %s', async (signal) => {
    const spec = write(
      'signals',
      'perl',
      '-e',
      `$| = 1; $SIG{${signal.slice(3)}} = sub { print "told\\n"; exit 11 }; print "up\\n"; sleep 1 while 1`,
    );
    const before = await getHost().snapshot();
    const run = await getHost().startRunspec('--quiet', 'run', spec.file);
    await expect.poll(run.written, { timeout: 20_000 }).toContain('up');
    run.kill(signal);
    expect((await run.ended).status).toBe(11);
    expect(run.written()).toContain('told');
    expect(await getHost().settledDiff(before)).toEqual([]);
  });

  it('forwards each signal, not the first alone', async () => {
    const script =
      '$| = 1; $SIG{INT} = sub { print ++$n, "\\n"; exit 12 if $n == 3 }; print "up\\n"; sleep 1 while 1';
    const spec = write('again', 'perl', '-e', script);
    const run = await getHost().startRunspec('--quiet', 'run', spec.file);
    for (const said of ['up\n', '1\n', '2\n']) {
      await expect.poll(run.written, { timeout: 20_000 }).toContain(said);
      run.kill('SIGINT');
    }
    expect((await run.ended).status).toBe(12);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends a process that has no handler for %s', async (signal) => {
    // As process 1 of its namespace it would never get it.
    const spec = write('deaf', 'bash', '-c', 'echo up; exec sleep 1000');
    const before = await getHost().snapshot();
    const run = await getHost().startRunspec('--quiet', 'run', spec.file);
    await expect.poll(run.written, { timeout: 20_000 }).toContain('up');
    run.kill(signal);
    expect((await run.ended).status).toBe(128 + constants.signals[signal]);
    expect(await getHost().settledDiff(before)).toEqual([]);
  });

  it('is ended by the fifth signal whatever its process does with them', async () => {
    const spec = write(
      'stubborn',
      'bash',
      '-c',
      'trap "echo told" TERM; echo up; while :; do sleep 0.1; done',
    );
    const before = await getHost().snapshot();
    const run = await getHost().startRunspec('--quiet', 'run', spec.file);
    await expect.poll(run.written, { timeout: 20_000 }).toContain('up');
    const toldTimes = () => run.written().split('told').length - 1;
    for (let times = 1; times < 5; times += 1) {
      run.kill('SIGTERM');
      await expect.poll(toldTimes, { timeout: 20_000 }).toBe(times);
    }
    run.kill('SIGTERM');
    expect((await run.ended).status).toBe(128 + constants.signals.SIGTERM);
    expect(await getHost().settledDiff(before)).toEqual([]);
  });

  it('keeps a signal that comes before the process for the process', async () => {
    const host = getHost();
    const asked = `${host.folder}/specs/asked`;
    const runc = (await host.output(['sh', '-c', 'command -v runc || command -v crun'])).trim();
    // It would pass over the signal, as an init does that has no program yet.
    const slow = `case " $* " in *' run '*) trap : TERM; touch ${asked}; sleep 1 & wait; wait; trap - TERM ;; esac`;
    const runtime = host.write('specs/runtime', `#!/bin/bash\n${slow}\nexec ${runc} "$@"\n`);
    fs.chmodSync(runtime, 0o755);
    const spec = writeSpec(host, 'early', { process: { args: ['sleep', '1000'] }, runtime });
    const run = await host.startRunspec('--quiet', 'run', spec.file);
    await expect.poll(() => fs.existsSync(asked), { timeout: 20_000 }).toBe(true);
    run.kill('SIGTERM');
    expect((await run.ended).status).toBe(143);
    expect(await list(host)).toEqual([]);
  });
});

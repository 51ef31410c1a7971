// run: streams, status and signals of a process in the foreground, and nothing left afterwards.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, list } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

describe.skipIf(!requireSystem())('run', () => {
  const getHost = shareHost();
  const write = (base: string, ...args: readonly string[]): PlacedSpec =>
    writeSpec(getHost(), base, {
      process: { args, stopTimeout: '5s' },
      network: { bridge: 'run0', ports: ['8080:80'] },
    });

  it('passes streams and the exit status, and leaves nothing', async () => {
    const spec = write(
      'streams',
      'bash',
      '-c',
      'while read -r line; do echo "got $line"; done; echo err >&2; exit 5',
    );
    const before = await getHost().snapshot();
    const result = await getHost().exec([process.execPath, CLI, '--quiet', 'run', spec.file], {
      stdin: 'one\ntwo\n',
    });
    expect(result).toMatchObject({ status: 5, stdout: 'got one\ngot two\n' });
    expect(result.stderr).toContain('err\n');
    expect(await getHost().settledDiff(before)).toEqual([]);
  });

  it('puts the arguments after -- in place of args', async () => {
    const spec = write('args', 'bash', '-c', 'exit 1');
    const { status, stdout } = await getHost().runspec(
      'run',
      spec.file,
      '--',
      'bash',
      '-c',
      'echo "$0 $1"',
      'a',
      'b c',
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'a b c\n' });
  });

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

  it('ends with 128 and the number of the signal that ended the process', async () => {
    const spec = write('killed', ...WAIT);
    const run = await getHost().startRunspec('run', spec.file);
    await expect.poll(async () => (await list(getHost()))[0]?.state, { timeout: 20_000 }).toBe('running');
    await getHost().output(['kill', '-KILL', String((await find(getHost(), spec.name)).pid)]);
    expect((await run.ended).status).toBe(137);
  });

  it('has a terminal when it is called from one', async () => {
    // runc passes the size on a moment after the start.
    const sized = 'until [ "$(stty size)" != "0 0" ]; do sleep 0.05; done; stty size';
    const spec = writeSpec(getHost(), 'tty', {
      process: { args: ['bash', '-c', `test -t 0 && { ${sized}; }`], terminal: true },
    });
    const line = `stty rows 33 cols 99; ${process.execPath} ${CLI} --quiet run ${spec.file}`;
    const { stdout, status } = await getHost().exec(['script', '-qec', line, '/dev/null']);
    expect(stdout).toContain('33 99');
    expect(status).toBe(0);
  });

  it('ends with 125 when the process cannot be started, and leaves nothing', async () => {
    const spec = write('missing', '/no/such/program');
    const before = await getHost().snapshot();
    const { status, stderr } = await getHost().runspec('run', spec.file);
    expect(status).toBe(125);
    expect(stderr).toContain('/no/such/program');
    expect(await getHost().settledDiff(before)).toEqual([]);
  });
});

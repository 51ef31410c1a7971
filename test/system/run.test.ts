// run: streams and status of a process in the foreground, and nothing left afterwards.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';

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

  it.each([
    // rt_sigprocmask(SIG_BLOCK, …) in the numbers of x86-64: there is no POSIX.pm.
    ['ignores', '$SIG{TERM} = "IGNORE"'],
    ['waits for', 'my $set = pack("Q", 1 << 14); syscall(14, 0, $set, 0, 8)'],
  ])('leaves a process alone that %s the signal', async (_, prepare) => {
    const spec = write('own', 'perl', '-e', `$| = 1; ${prepare}; print "up\n"; sleep 2; exit 13`);
    const run = await getHost().startRunspec('--quiet', 'run', spec.file);
    await expect.poll(run.written, { timeout: 20_000 }).toContain('up');
    run.kill('SIGTERM');
    expect((await run.ended).status).toBe(13);
  });

  it('keeps a log to the byte', async () => {
    const spec = write('bytes', 'perl', '-e', '$| = 1; print "\\xff\\xe2\\n\\xac.\\n"; sleep 1000');
    const run = await getHost().startRunspec('--quiet', 'run', spec.file);
    const logs = [process.execPath, CLI, 'logs', spec.name];
    const read = async (): Promise<string> =>
      (await getHost().output(['bash', '-c', '"$@" | od -An -tx1', '-', ...logs])).trim();
    await expect.poll(read, { timeout: 20_000 }).toBe('ff e2 0a ac 2e 0a');
    run.kill('SIGTERM');
    expect((await run.ended).status).toBe(143);
  });

  it('ends with 128 and the number of the signal that ended the process', async () => {
    const spec = write('killed', ...WAIT);
    const run = await getHost().startRunspec('run', spec.file);
    await expect.poll(async () => (await list(getHost()))[0]?.state, { timeout: 20_000 }).toBe('running');
    await getHost().output(['kill', '-KILL', String((await find(getHost(), spec.name)).pid)]);
    expect((await run.ended).status).toBe(137);
  });

  it('has a terminal when it is called from one', async () => {
    const spec = writeSpec(getHost(), 'tty', {
      process: { args: ['bash', '-c', 'test -t 0 && stty size'], terminal: true },
    });
    const line = `stty rows 33 cols 99; ${process.execPath} ${CLI} --quiet run ${spec.file}`;
    const { stdout, status } = await getHost().exec(['script', '-qec', line, '/dev/null']);
    expect(stdout).toContain('33 99');
    expect(status).toBe(0);
  });

  it('says that there is no terminal where one is asked for', async () => {
    const process = { args: ['bash', '-c', 'test -t 0 || echo none'], terminal: true };
    const { file } = writeSpec(getHost(), 'none', { process });
    const run = (...words: readonly string[]) => getHost().runspec(...words, 'run', file);
    const said = 'there is no terminal here to pass on: the process gets pipes\n';
    expect(await run()).toMatchObject({ status: 0, stdout: 'none\n', stderr: said });
    expect(await run('--quiet')).toMatchObject({ status: 0, stdout: 'none\n', stderr: '' });
  });

  it('ends with 125 when the process cannot be started, and leaves nothing', async () => {
    const spec = write('missing', '/no/such/program');
    const before = await getHost().snapshot();
    const { status, stderr } = await getHost().runspec('run', spec.file);
    expect(status).toBe(125);
    expect(stderr).toContain('/no/such/program');
    expect(await getHost().settledDiff(before)).toEqual([]);
  });

  it('leaves nothing when it is killed by SIGKILL, whenever that is', async () => {
    const host = getHost();
    const spec = write('abandoned', ...WAIT);
    const before = await host.snapshot();
    for (const moment of [40, 120, 200, 280, 'up'] as const) {
      const run = await host.startRunspec('run', spec.file);
      const began = Date.now();
      const isTime = async (): Promise<boolean> =>
        moment === 'up' ? (await list(host))[0]?.state === 'running' : Date.now() - began >= moment;
      await expect.poll(isTime, { timeout: 20_000, interval: 5 }).toBe(true);
      run.kill('SIGKILL');
      await run.ended;
      // What it was calling itself at that moment may take a while to end.
      await expect.poll(() => list(host), { timeout: 30_000, interval: 50 }).toEqual([]);
      // A kill in the millisecond before the watcher is there leaves its empty file to the next call.
      await succeed(host, 'down', spec.name);
      expect(await host.settledDiff(before)).toEqual([]);
    }
  });

  it('is taken down by hand too, and only when it was killed', async () => {
    const host = getHost();
    const spec = write('abandoned', ...WAIT);
    const run = await host.startRunspec('run', spec.file);
    await expect.poll(async () => (await list(host))[0]?.state, { timeout: 20_000 }).toBe('running');
    await succeed(host, 'down', '--abandoned', '--all');
    expect((await find(host, spec.name)).state).toBe('running');
    const watcher = await host.output(['pgrep', '-f', '^flock --shared .*--abandoned']);
    await host.output(['kill', '-KILL', watcher.trim()]);
    run.kill('SIGKILL');
    await run.ended;
    expect((await find(host, spec.name)).state).toBe('running');
    await succeed(host, 'down', '--abandoned', '--all');
    expect(await list(host)).toEqual([]);
  });

  it('ends with the status of the process when it is taken down meanwhile, and says no more', async () => {
    const host = getHost();
    const spec = write('elsewhere', 'perl', '-e', '$SIG{TERM} = sub { exit 9 }; sleep 1000 while 1');
    for (let round = 0; round < 6; round += 1) {
      const run = await host.startRunspec('run', spec.file);
      await expect.poll(async () => (await list(host))[0]?.state, { timeout: 20_000 }).toBe('running');
      await expect.poll(async () => isCatching(host, spec.name), { timeout: 20_000 }).toBe(true);
      await succeed(host, 'down', spec.name);
      expect((await run.ended).status).toBe(9);
      expect(run.written()).toBe('');
    }
  });

  it('says at which step and at which place of the spec the runtime refused, and that once', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'refused', { sysctls: { 'net.no.such': 1 } });
    const { status, stderr } = await host.runspec('run', file);
    expect(status).toBe(125);
    expect(stderr).toMatch(/^\S+refused\.json:\d+:\d+: error: process: \S+ cannot create the process of/);
    expect(stderr).not.toMatch(/^\S*run[c]? failed/m);
    const { stdout } = await host.runspec('run', '--json', file);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    expect(events.filter(({ event }) => event === 'output')).toEqual([]);
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'step', container: name, step: 'process', outcome: 'failed' }),
    );
    expect(events.at(-1)).toMatchObject({
      event: 'failed',
      failures: [{ container: name, step: 'process' }],
    });
  });

  it('is left alone by an apply, and leaves alone what an apply has made', async () => {
    const host = getHost();
    const spec = write('both', ...WAIT);
    fs.mkdirSync(host.dataDir, { recursive: true, mode: 0o711 });
    const gate = await host.start(['flock', `${host.dataDir}/.lock`, 'sleep', '1.5']);
    const apply = await host.startRunspec('apply', spec.file);
    const run = await host.startRunspec('run', spec.file);
    const applied = await apply.ended;
    await gate.ended;
    // When `run` was first, `apply` refuses or, when that has begun its process by then, finds nothing to do.
    const isApplied = applied.status === 0 && !apply.written().includes('is up to date');
    if (!isApplied) run.kill('SIGKILL');
    const { status } = await run.ended;
    const possible = isApplied ? [[0, 2]] : [0, 2].map((refused) => [refused, null]);
    expect(possible).toContainEqual([applied.status, status]);
    const states = async (): Promise<readonly string[]> => (await list(host)).map(({ state }) => state);
    await expect.poll(states, { timeout: 30_000 }).toEqual(isApplied ? ['running'] : []);
    await succeed(host, 'down', spec.name);
  });

  it('is not changed by an apply', async () => {
    const host = getHost();
    const spec = write('alone', ...WAIT);
    const run = await host.startRunspec('run', spec.file);
    await expect.poll(async () => (await list(host))[0]?.state, { timeout: 20_000 }).toBe('running');
    await succeed(host, 'apply', spec.file);
    write('alone', ...WAIT, 'more');
    const { status, stderr } = await host.runspec('apply', spec.file);
    expect(status).toBe(2);
    expect(stderr).toContain(`${spec.name} is in the foreground of another runspec\n`);
    expect((await find(host, spec.name)).state).toBe('running');
    await succeed(host, 'down', spec.name);
    await run.ended;
  });

  it('goes on when nobody reads what it prints', async () => {
    const host = getHost();
    const spec = write('unread', 'true');
    const line = `{ ${process.execPath} ${CLI} --verbose run ${spec.file}; echo "status $?" >${host.folder}/specs/unread; } 2>&1 | true`;
    writeSpec(host, 'unread', { process: { args: ['bash', '-c', 'exit 6'] }, network: { bridge: 'run0' } });
    await host.output(['bash', '-c', line]);
    expect(await host.output(['cat', `${host.folder}/specs/unread`])).toBe('status 6\n');
    expect(await list(host)).toEqual([]);
  });
});

/** Whether the process has its handler of SIGTERM by now. */
async function isCatching(host: TestHost, name: string): Promise<boolean> {
  const { stdout } = await host.runspec('exec', name, 'perl', '-ne', 'print if /^SigCgt/', '/proc/1/status');
  return (Number.parseInt(/[0-9a-f]+$/m.exec(stdout.trim())?.[0].slice(-4) ?? '0', 16) & 0x4000) !== 0;
}

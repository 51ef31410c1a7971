// exec: what it shares with the process, what it can be told, and how it ends.
import fs from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import type { Executed } from '../support/execute.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type PlacedSpec } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

describe.skipIf(!requireSystem())('exec', () => {
  let spec: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      const process = { args: WAIT, env: { GREETING: 'hello', LEFT: 'alone' }, cwd: '/srv' };
      spec = writeSpec(host, 'exec', { process, resources: { pids: 50 } });
      await succeed(host, 'apply', spec.file);
    },
  });
  const exec = (...args: readonly string[]) => getHost().runspec('exec', spec.name, ...args);

  it('shares namespaces, cgroup and confinement with the process', async () => {
    const script = `
      for one in uts pid mnt net ipc cgroup; do
        [ "$(perl -e 'print readlink shift' /proc/self/ns/$one)" = "$(perl -e 'print readlink shift' /proc/1/ns/$one)" ] || echo "another $one"
      done
      grep() { while read -r key value; do [[ $key = $1 ]] && echo "$key $value"; done; }
      for one in CapEff: CapBnd: NoNewPrivs: Seccomp:; do
        [ "$(grep $one </proc/self/status)" = "$(grep $one </proc/1/status)" ] || echo "another $one"
      done`;
    expect(await exec('--', 'bash', '-c', script)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const { stdout } = await exec('--', 'cat', '/proc/self/cgroup');
    expect(stdout).toBe((await exec('--', 'cat', '/proc/1/cgroup')).stdout);
    const server = await getHost().startRunspec(
      'exec',
      spec.name,
      '--',
      'bash',
      '-c',
      'echo up; exec sleep 100',
    );
    await expect.poll(server.written, { timeout: 10_000 }).toContain('up');
    const pids = await getHost().output([
      'sh',
      '-c',
      'cat /sys/fs/cgroup/pids/runspec/$1/cgroup.procs /sys/fs/cgroup/runspec/$1/cgroup.procs 2>/dev/null || :',
      'sh',
      spec.name,
    ]);
    expect(pids.trim().split('\n')).toHaveLength(2);
    await exec('--', 'bash', '-c', 'kill -9 -1');
    await server.ended;
  });

  it('has the environment and the folder of the process, unless told otherwise', async () => {
    expect((await exec('--', 'bash', '-c', 'echo $GREETING $PWD')).stdout).toBe('hello /srv\n');
    const told = await exec(
      '-e',
      'GREETING=good bye',
      '--env',
      'NEW=x=y',
      '-w',
      '/etc',
      '--',
      'bash',
      '-c',
      'echo $GREETING $NEW $LEFT $PWD',
    );
    expect(told.stdout).toBe('good bye x=y alone /etc\n');
  });

  it('passes on a variable of this environment by its name alone, which hides the value', async () => {
    const call = (...names: readonly string[]): Promise<Executed> =>
      getHost().exec(
        [
          process.execPath,
          CLI,
          'exec',
          ...names.flatMap((one) => ['-e', one]),
          spec.name,
          'bash',
          '-c',
          'echo $SECRET',
        ],
        { env: { SECRET: 'a b=c' } },
      );
    expect(await call('SECRET')).toMatchObject({ status: 0, stdout: 'a b=c\n' });
    expect(await call('SECRET', 'NOT_SET_HERE')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--env NOT_SET_HERE has no value') as string,
    });
    for (const entry of ['', '=x'])
      expect(await call(entry)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining(`--env "${entry}" names no variable`) as string,
      });
  });

  it('leaves all behind the first word of the command to the command', async () => {
    expect((await exec('-u', '1000', 'id', '-u')).stdout).toBe('1000\n');
    expect((await exec('env', '-u', 'HOME', 'perl', '-e', 'print exists $ENV{HOME} ? 1 : 0')).stdout).toBe(
      '0',
    );
    expect((await exec('ls', '-d', '-h', '/')).stdout).toBe('/\n');
    const once = writeSpec(getHost(), 'once', {});
    const { stdout } = await getHost().runspec('run', once.file, 'ls', '-d', '-h', '/');
    expect(stdout).toBe('/\n');
  });

  it('takes another user, by name or number', async () => {
    expect(await exec('-u', '0:0:0', '--', 'id')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--user 0:0:0 is not a user') as string,
    });
    expect((await exec('-u', 'ana', '--', 'id')).stdout).toBe(
      'uid=1000(ana) gid=1000(ana) groups=1000(ana)\n',
    );
    expect((await exec('-u', '1000:0', '--', 'id')).stdout).toMatch(/^uid=1000\(ana\) gid=0\(root\)/);
    expect((await exec('-u', '4242', '--', 'bash', '-c', 'echo $UID; { :> /etc/x; } 2>&1')).stdout).toMatch(
      /^4242\n.*Permission denied/,
    );
    expect(await exec('-u', 'nobody-knows', '--', 'id')).toMatchObject({ status: 125 });
  });

  it.each([
    ['the command’s own', ['bash', '-c', 'exit 41'], 41],
    ['128 and the number of a signal', ['bash', '-c', 'kill -9 $$'], 137],
    ['a shell’s', ['bash', '-c', 'no-such-program'], 127],
    ['125 for what is not there', ['no-such-program'], 125],
    ['125 for a path that is not there', ['/no/such/program'], 125],
    ['125 for what cannot be executed', ['/etc/passwd'], 125],
  ])('ends with a status: %s', async (_, argv, status) => {
    expect(await exec('--', ...argv)).toMatchObject({ status });
  });

  it('says what is wrong about a container that is not there: 125', async () => {
    const { status, stderr } = await getHost().runspec('exec', 'nobody', '--', 'id');
    expect(status).toBe(125);
    expect(stderr).toContain('nobody');
  });

  it('says once that a folder is not there: 125', async () => {
    expect(await exec('-w', '/no/such/folder', '--', 'id')).toMatchObject({
      status: 125,
      stdout: '',
      stderr: `error: no folder /no/such/folder in ${spec.name}\n  hint: --cwd is a path inside the container\n`,
    });
  });

  it('keeps standard output and error apart, and passes input with -i only', async () => {
    const both = await exec('--', 'bash', '-c', 'echo out; echo err >&2');
    expect(both).toMatchObject({ stdout: 'out\n', stderr: 'err\n' });
    const cli = [process.execPath, CLI, 'exec', spec.name];
    const text = 'line\n'.repeat(20_000);
    const piped = await getHost().exec([...cli, '-i', '--', 'cat'], { stdin: text });
    expect(piped.stdout === text).toBe(true);
    expect((await getHost().exec([...cli, '--', 'cat'], { stdin: 'ignored' })).stdout).toBe('');
  });

  it('has a terminal with -t', async () => {
    const cli = `${process.execPath} ${CLI} exec -it ${spec.name} --`;
    const terminal = (command: string) =>
      getHost().exec(['script', '-qec', `stty rows 33 cols 99; ${cli} ${command}`, '/dev/null'], {
        stdin: '',
      });
    // runc passes the size on a moment after the start.
    const sized = 'until [ "$(stty size)" != "0 0" ]; do sleep 0.05; done; stty size';
    const { stdout, status } = await terminal(`bash -c 'test -t 0 && test -t 1 && { ${sized}; exit 7; }'`);
    expect(stdout).toContain('33 99');
    expect(status).toBe(7);
    expect((await exec('--', 'bash', '-c', 'test -t 0')).status).toBe(1);
  });

  it('passes a signal on', async () => {
    const started = await getHost().startRunspec(
      'exec',
      spec.name,
      '--',
      'perl',
      '-e',
      '$| = 1; $SIG{TERM} = sub { print "told"; exit 9 }; print "up "; sleep 100',
    );
    await expect.poll(started.written, { timeout: 10_000 }).toContain('up');
    started.kill('SIGTERM');
    expect((await started.ended).status).toBe(9);
    expect(started.written()).toBe('up told');
  });

  it('hands nothing of its caller to the runtime, nor to the container', async () => {
    const host = getHost();
    const runc = (await host.output(['sh', '-c', 'command -v runc || command -v crun'])).trim();
    const seen = `${host.folder}/specs/seen`;
    // As crun does, which passes on what it has.
    const look = `case " $* " in *' exec '* | *' run '*) (cd /proc/$$/fd; stat -Lc %F 0 1 2) >>${seen} ;; esac`;
    const runtime = host.write('specs/passing', `#!/bin/bash\n${look}\nexec ${runc} "$@"\n`);
    fs.chmodSync(runtime, 0o755);
    const { file, name } = writeSpec(host, 'passing', { process: { args: WAIT }, runtime });
    await succeed(host, 'apply', file);
    const [input, log] = [host.write('specs/input', 'text\n'), host.write('specs/output', '')];
    const cli = `${process.execPath} ${CLI}`;
    const call = (line: string) => host.output(['bash', '-c', `${cli} ${line} <${input} >>${log} 2>>${log}`]);
    await call(`exec -i ${name} -- cat`);
    await call(`exec ${name} -- cat`);
    await host.output(['script', '-qec', `${cli} exec ${name} -- cat`, '/dev/null']);
    await succeed(host, 'down', name);
    await call(`--quiet run ${file} -- cat`);
    expect(fs.readFileSync(log, 'utf8')).toBe('text\ntext\n');
    expect(fs.readFileSync(seen, 'utf8')).toBe('fifo\n'.repeat(12));
    const { stdout } = await host.exec([
      'bash',
      '-c',
      `${cli} exec ${spec.name} -- ls /proc/self/fd 5<${input}`,
    ]);
    expect(stdout).toBe('0\n1\n2\n3\n');
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'ends at %s when only what it has left behind holds its output, and leaves nothing',
    async (signal) => {
      const host = getHost();
      const bundle = `${host.dataDir}/containers/${spec.name}/bundle`;
      const before = fs.readdirSync(bundle);
      const started = await host.startRunspec(
        'exec',
        spec.name,
        '--',
        'bash',
        '-c',
        'sleep 300 & echo "left $!"; exit 7',
      );
      await expect.poll(started.written, { timeout: 10_000 }).toContain('left');
      started.kill(signal);
      expect((await started.ended).status).toBe(128 + constants.signals[signal]);
      expect(fs.readdirSync(bundle)).toEqual(before);
      expect((await host.exec(['pgrep', '-f', `process ${bundle}/exec-`])).stdout).toBe('');
      const left = /\d+/.exec(started.written())?.[0] ?? '';
      expect((await exec('--', 'bash', '-c', `kill -9 ${left}`)).status).toBe(0);
    },
  );

  it('keeps its variables on the disk no longer than until the process is there', async () => {
    const started = await getHost().startRunspec('exec', spec.name, '--', 'bash', '-c', 'echo up; sleep 300');
    await expect.poll(started.written, { timeout: 10_000 }).toContain('up');
    const files = (): readonly string[] =>
      fs.readdirSync(`${getHost().dataDir}/containers/${spec.name}/bundle`);
    await expect.poll(() => files().filter((one) => /^exec-.*\.json$/.test(one))).toEqual([]);
    started.kill('SIGTERM');
    expect((await started.ended).status).toBe(143);
  });

  it('knows the users also of a container that may not see who they are', async () => {
    const host = getHost();
    const masked = writeSpec(host, 'masked', { security: { maskedPaths: ['/etc/passwd', '/etc/group'] } });
    await succeed(host, 'apply', masked.file);
    const idOf = (...args: readonly string[]) =>
      succeed(host, 'exec', masked.name, ...args, '--', 'id', '-u');
    expect(await idOf()).toBe('0\n');
    expect(await idOf('--user', '5:5')).toBe('5\n');
    expect(await idOf('--user', 'ana')).toBe('1000\n');
    expect(await succeed(host, 'exec', masked.name, '--', 'cat', '/etc/passwd')).toBe('');
    await succeed(host, 'down', masked.name);
  });
});

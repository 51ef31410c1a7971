// The process: its confinement, user, limits and signals, and its life apart from runspec.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, identify, inside, list, succeed, waitForEnd } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

describe.skipIf(!requireSystem())('the process', () => {
  const getHost = shareHost();
  const start = async (base: string, keys: SpecKeys): Promise<string> => {
    const spec = writeSpec(getHost(), base, keys);
    await succeed(getHost(), 'apply', spec.file);
    return spec.name;
  };
  const bash = (script: string, more: SpecKeys = {}): SpecKeys => ({
    process: { args: ['bash', '-c', script], ...more },
  });

  it('has a tmpfs with its size and mode, whatever the root has at that place', async () => {
    const mounts = [
      { type: 'tmpfs', destination: '/etc/keys', mode: '0700', size: '1M' },
      { type: 'tmpfs', destination: '/scratch' },
    ];
    const name = await start('memory', { mounts });
    const look = 'ls -ld /etc/keys /scratch; head -c 2M /dev/zero >/etc/keys/full; ls -l /etc/keys/full';
    const { stdout } = await inside(getHost(), name)(['bash', '-c', look]);
    expect(stdout.split('\n').map((line) => line.split(' ')[0])).toEqual([
      'drwx------',
      'drwxrwxrwt',
      '-rw-r--r--',
      '',
    ]);
    expect(stdout).toContain(' 1048576 ');
  });

  it('that has ended is not called up: apply, plan and status tell how it ended', async () => {
    const spec = writeSpec(getHost(), 'ended', bash('exit 7'));
    const first = await getHost().runspec('apply', spec.file);
    expect(first).toMatchObject({ status: 0 });
    expect(first.stderr).toMatch(/ is (?:up|applied, and its process has ended with status 7)  \d+ ms\n/);
    await waitForEnd(getHost(), spec.name);
    const { stdout } = await getHost().runspec('plan', spec.file);
    expect(stdout).toMatch(/\+ process .*\n +it has ended with status 7\n/);
    expect((await getHost().runspec('status', spec.name)).stdout).toMatch(/^\S+ {2}exited \(7\) \d+ s ago\n/);
  });

  it('is confined: capabilities, no_new_privs, seccomp, masked and read-only paths', async () => {
    const name = await start('confined', {});
    const status = (await inside(getHost(), name)(['cat', '/proc/1/status'])).stdout;
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP
    for (const set of ['CapBnd', 'CapPrm', 'CapEff']) expect(status).toContain(`${set}:\t00000000a80425fb`);
    for (const set of ['CapInh', 'CapAmb']) expect(status).toContain(`${set}:\t0000000000000000`);
    expect(status).toContain('NoNewPrivs:\t1');
    expect(status).toContain('Seccomp:\t2');
    const script = `
      head -c 1 /proc/timer_list; ls /sys/firmware; echo "$?"
      { echo 1 >/proc/sys/kernel/domainname; } 2>&1
      { :>/sys/file; } 2>&1
      perl -e 'print syscall(175, 0, 0, 0) . " " . ($! + 0) . "\\n"; print syscall(999) . " " . ($! + 0) . "\\n"'
      ls /proc/1/fd`;
    const { stdout } = await inside(getHost(), name)(['bash', '-c', script]);
    const lines = stdout.trim().split('\n');
    expect(lines[0]).toBe('0');
    expect(lines[1]).toContain('Read-only file system');
    expect(lines[2]).toContain('Read-only file system');
    // init_module(2) is refused, and a call nobody knows does not exist.
    expect(lines[3]).toMatch(/^-1 (1|38)$/);
    expect(lines[4]).toBe('-1 38');
    expect(lines.slice(5)).toEqual(['0', '1', '2']);
  });

  it('has only what the spec adds and keeps what it does not drop', async () => {
    const process = {
      args: WAIT,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      noNewPrivileges: false,
      user: '0',
    };
    const name = await start('capable', { process, security: { seccomp: 'unconfined' } });
    const status = (await inside(getHost(), name)(['cat', '/proc/1/status'])).stdout;
    expect(status).toContain('CapEff:\t0000000000001000');
    expect(status).toContain('NoNewPrivs:\t0');
    expect(status).toContain('Seccomp:\t0');
  });

  it('runs as the user, in the folder and with the limits of the spec', async () => {
    const rlimits = { nofile: { soft: 100, hard: 200 }, core: { soft: 0, hard: 0 } };
    const name = await start('user', {
      process: {
        args: WAIT,
        user: 'ana',
        additionalGids: [33, 44],
        cwd: '/srv',
        rlimits,
        env: { TZ: 'UTC' },
        oomScoreAdj: 500,
      },
    });
    // Of the process itself: in `runc exec` 1.1 the Go runtime may raise the soft limit of files after it was set.
    const files =
      'while read -r a b c soft hard _; do [ "$a $b $c" = "Max open files" ] && echo $soft $hard; done < /proc/1/limits';
    const script = `id; ${files}; ulimit -c; cat /proc/1/oom_score_adj; cd /proc/1/cwd && pwd -P; echo $TZ $HOME`;
    const { stdout } = await inside(getHost(), name)(['bash', '-c', script]);
    expect(stdout.trim().split('\n')).toEqual([
      'uid=1000(ana) gid=1000(ana) groups=1000(ana),33,44',
      '100 200',
      '0',
      '500',
      '/srv',
      'UTC /home/ana',
    ]);
    expect(
      await getHost().output([
        'sh',
        '-c',
        'grep ^Uid /proc/$1/status',
        'sh',
        String((await find(getHost(), name)).pid),
      ]),
    ).toContain('1000');
  });

  it('outlives runspec, and the session it was started from', async () => {
    const spec = writeSpec(getHost(), 'outlives');
    const cli = [process.execPath, CLI, 'apply', spec.file];
    await getHost().output(['setsid', '--wait', ...cli]);
    const { pid } = await find(getHost(), spec.name);
    const stat = await getHost().output(['cat', `/proc/${pid}/stat`]);
    expect(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4]).toBe('0');
    expect(await identify(getHost(), spec.name)).toContain(String(pid));
  });

  it('keeps its exit status when it ends by itself, and apply starts it again', async () => {
    const name = await start('ends', bash('echo bye; exit 3'));
    expect(await waitForEnd(getHost(), name)).toMatchObject({ exitStatus: 3, oom: false, pid: null });
    expect(await succeed(getHost(), 'logs', name)).toContain('bye\n');
    expect((await getHost().runspec('status', name)).status).toBe(3);
    await succeed(getHost(), 'apply', `${getHost().folder}/specs/ends.json`);
    await waitForEnd(getHost(), name);
  });

  it('is told by the stop signal, and killed when its time is over', async () => {
    const file = `${getHost().folder}/specs/told`;
    fs.mkdirSync(file, { recursive: true });
    const mounts = [`${file}:/told`];
    const script = 'trap "echo quit >/told/signal; exit" QUIT; while :; do sleep 0.1; done';
    const polite = await start('polite', { ...bash(script, { stopSignal: 'SIGQUIT' }), mounts });
    await succeed(getHost(), 'down', polite);
    expect(fs.readFileSync(`${file}/signal`, 'utf8')).toBe('quit\n');
    const deaf = await start(
      'deaf',
      bash('trap "" TERM; sleep 1000 & while :; do sleep 1000; done', { stopTimeout: '300ms' }),
    );
    await succeed(getHost(), 'down', deaf);
    expect((await list(getHost())).map((row) => row.name)).not.toContain(deaf);
    const slow = await start(
      'slow',
      bash('trap "" TERM; while :; do sleep 1000; done', { stopTimeout: '3s' }),
    );
    const { stderr } = await getHost().runspec('down', slow);
    expect(stderr).toContain('has 3 s to end after SIGTERM, then it is killed');
  });

  it('has a terminal when the spec says so', async () => {
    const name = await start(
      'terminal',
      bash('test -t 0 && test -t 1 && echo "terminal of $(stty size)"; exec sleep 1000', {
        terminal: true,
        stopSignal: 'KILL',
      }),
    );
    const logs = () => succeed(getHost(), 'logs', name);
    await expect.poll(logs, { timeout: 10_000 }).toMatch(/terminal of \d+ \d+/);
  });
});

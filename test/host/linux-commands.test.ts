// Running, starting, finding and signalling programs on the real machine.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLinuxHost } from '../../src/host/linux.ts';
import { bundleHost } from './bundle-host.ts';

const host = createLinuxHost();
let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-host-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('run', () => {
  it('gives status, stdout and stderr of a command, and its stdin', async () => {
    const argv = ['sh', '-c', 'cat; echo bad >&2; exit 3'];
    expect(await host.run(argv, { stdin: 'text' })).toEqual({
      argv,
      status: 3,
      stdout: 'text',
      stderr: 'bad\n',
    });
  });

  it('passes arguments as they are, without a shell', async () => {
    const { stdout } = await host.run(['printf', '%s|', '$HOME', 'a b', '*', '']);
    expect(stdout).toBe('$HOME|a b|*||');
  });

  it('has no status and no stderr for a program that does not exist', async () => {
    expect(await host.run(['runspec-no-such-program'])).toMatchObject({ status: undefined, stderr: '' });
  });

  it('has no status for a command ended by a signal, and says which', async () => {
    const result = await host.run(['sh', '-c', 'kill -9 $$']);
    expect(result.status).toBeUndefined();
    expect(result.stderr).toContain('SIGKILL');
  });

  it('survives a command that does not read its input', async () => {
    expect(await host.run(['true'], { stdin: 'x'.repeat(1_000_000) })).toMatchObject({ status: 0 });
  });

  it('kills a command whose time is over, and waits for nothing that it has started', async () => {
    const over = new AbortController();
    const file = path.join(folder, 'started');
    const argv = ['sh', '-c', 'sleep 300 & echo $! >"$1"; wait', 'sh', file];
    const running = host.run(argv, { signal: over.signal });
    await vi.waitFor(() => expect(fs.readFileSync(file, 'utf8')).toMatch(/^\d+\n$/), 20_000);
    over.abort('SIGTERM');
    await expect(running).rejects.toBe('SIGTERM');
    process.kill(Number(fs.readFileSync(file, 'utf8')), 'SIGKILL');
    await expect(host.run(['touch', file], { signal: over.signal })).rejects.toBe('SIGTERM');
  });

  it('asks for messages in English and searches the administration folders', async () => {
    const { stdout } = await host.run(['sh', '-c', 'echo "$LC_ALL $PATH $EXTRA"'], { env: { EXTRA: 'yes' } });
    expect(stdout).toMatch(/^C \S*\/usr\/sbin\S* yes$/m);
  });

  it('gives no descriptor of its own to a child', async () => {
    const file = path.join(folder, 'secret');
    const fd = fs.openSync(file, 'w');
    const { stdout } = await host.run(['sh', '-c', 'readlink /proc/$$/fd/*']);
    fs.closeSync(fd);
    // Node's pipes to a child are pairs of sockets today.
    expect(stdout).toMatch(/^\/dev\/null\n(pipe|socket):\[\d+\]\n(pipe|socket):\[\d+\]$/m);
    expect(stdout).not.toContain(file);
  });
});

describe('spawn', () => {
  it('gives pipes that have no name any more, and that a program can open again', async () => {
    const names = ['in', 'out', 'err'].map((name) => path.join(folder, name));
    execFileSync('mkfifo', names);
    const script = 'cat /dev/stdin; echo out >/dev/stdout; echo err >/dev/stderr';
    const child = host.spawn(['sh', '-c', script], { stdio: names.map((fifo) => ({ fifo })) });
    expect(fs.readdirSync(folder)).toEqual([]);
    const text = 'x'.repeat(300_000);
    child.pipe(0).end(text);
    const read = async (fd: number): Promise<string> =>
      Buffer.concat((await child.pipe(fd).toArray()) as Buffer[]).toString();
    expect(await Promise.all([read(1), read(2)])).toEqual([`${text}out\n`, 'err\n']);
    expect((await child.exited).status).toBe(0);
  });

  it('connects pipes at any descriptor in both directions', async () => {
    const child = host.spawn(['sh', '-c', 'read line <&4; echo "got $line" >&3'], {
      stdio: ['null', 'null', 'null', 'pipe', 'pipe'],
    });
    child.pipe(4).end('hello\n');
    let answer = '';
    for await (const chunk of child.pipe(3)) answer += String(chunk);
    expect(answer).toBe('got hello\n');
    expect(await child.exited).toEqual({ status: 0, signal: undefined });
    expect(() => child.pipe(1)).toThrow('not a pipe');
  });

  it('appends output to a private file', async () => {
    const log = path.join(folder, 'log');
    for (const word of ['one', 'two']) {
      const child = host.spawn(['echo', word], { stdio: ['null', { append: log }, 'inherit'] });
      await child.exited;
    }
    expect(fs.readFileSync(log, 'utf8')).toBe('one\ntwo\n');
    expect(fs.statSync(log).mode & 0o777).toBe(0o600);
  });

  it('passes on no descriptor that runspec itself inherited, high or low', () => {
    const bundle = bundleHost(folder);
    const script = `
      const { createLinuxHost } = await import(${JSON.stringify(bundle)});
      const argv = ['sh', '-c', 'readlink /proc/$$/fd/* >&3'];
      const child = createLinuxHost().spawn(argv, { stdio: ['null', 'null', 'null', 'pipe'] });
      child.pipe(3).pipe(process.stdout);`;
    const open = 'exec 5<"$1" 60<"$1" 300<"$1"; exec "$2" --input-type=module -e "$3"';
    const argv = ['-c', open, 'bash', bundle, process.execPath, script];
    const fds = execFileSync('bash', argv, { encoding: 'utf8' });
    expect(fds).toContain('socket:');
    expect(fds).not.toContain(bundle);
  });

  it('throws for a program that does not exist', () => {
    expect(() => host.spawn(['runspec-no-such-program'], { stdio: [] })).toThrow('cannot start');
  });

  it('reports the signal that ended a child; kill says when nobody is there', async () => {
    const child = host.spawn(['sleep', '60'], { stdio: ['null', 'null', 'null'], detached: true });
    expect(await host.kill(child.pid, 'SIGTERM')).toBe(true);
    expect(await child.exited).toEqual({ status: undefined, signal: 'SIGTERM' });
    expect(await host.kill(child.pid, 'SIGTERM')).toBe(false);
  });

  it('signals a child while there is one, and nobody after it', async () => {
    const child = host.spawn(['sleep', '60'], { stdio: ['null', 'null', 'null'], detached: true });
    expect(child.kill('SIGTERM')).toBe(true);
    expect(await child.exited).toEqual({ status: undefined, signal: 'SIGTERM' });
    const { kill } = process;
    // Even where its number is another process's by now.
    process.kill = () => true;
    try {
      expect(child.kill('SIGKILL')).toBe(false);
    } finally {
      process.kill = kill;
    }
  });
});

describe('which', () => {
  it('goes by PATH where somebody has chosen it, and by the usual folders where nobody has', async () => {
    const { PATH } = process.env;
    try {
      process.env['PATH'] = folder;
      expect(await host.which('cat')).toBeUndefined();
      delete process.env['PATH'];
      expect(await host.which('cat')).toMatch(/^\/(usr\/)?bin\/cat$/);
    } finally {
      process.env['PATH'] = PATH;
    }
  });

  it('finds programs outside the PATH of a user, and nothing that is not a program', async () => {
    const { PATH } = process.env;
    process.env['PATH'] = `${folder}:/usr/bin:/bin`;
    fs.writeFileSync(path.join(folder, 'data'), '', { mode: 0o644 });
    fs.mkdirSync(path.join(folder, 'sh'));
    try {
      expect(await host.which('sh')).toMatch(/^\/(usr\/)?bin\/sh$/);
      expect(await host.which('ldconfig')).toMatch(/^\/(usr\/)?sbin\/ldconfig$/);
      expect(await host.which('data')).toBeUndefined();
      expect(await host.which('runspec-no-such-program')).toBeUndefined();
    } finally {
      process.env['PATH'] = PATH;
    }
  });
});

// A throw-away host: own network, mounts, processes and folders, with a remote host at the other end of
// its uplink. Only cgroups are the machine's, so container names carry a prefix that is the host's own.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { execute, output, TEST_ENVIRONMENT, type ExecuteOptions, type Executed } from './execute.ts';
import { removeCgroups, sweepCgroups } from './cgroups.ts';
import { diffSnapshots, takeSnapshot, type Snapshot } from './snapshot.ts';

const REPOSITORY = path.resolve(import.meta.dirname, '../..');
const CLI = path.join(REPOSITORY, 'dist/cli.js');

/** Where a test stands: in the host, or at the remote end of its uplink. */
export interface Place {
  exec(argv: readonly string[], options?: ExecuteOptions): Promise<Executed>;
  /** Standard output of a command that has to succeed. */
  output(argv: readonly string[], options?: ExecuteOptions): Promise<string>;
  /** A command that goes on; it ends with the host at the latest. */
  start(argv: readonly string[]): Promise<Started>;
}

export interface Started {
  /** Process id as the machine, not the host, counts. */
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** As a terminal does at Ctrl-C: it and what it has started, unless that has left its process group. */
  killGroup(signal: NodeJS.Signals): void;
  /** What it has written so far. */
  written(): string;
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>;
}

export interface TestHost extends Place {
  /** 198.51.100.2/24 is the host's address; 198.51.100.1 and, behind it, 203.0.113.1 the remote's. */
  readonly address: '198.51.100.2';
  readonly remote: Place & { readonly address: '198.51.100.1'; readonly beyond: '203.0.113.1' };
  /** Holder of the namespaces, as the machine counts. */
  readonly pid: number;
  /** The one writable folder, visible under the same path outside: for specs, sites, archives. */
  readonly folder: string;
  readonly stateDir: string;
  readonly dataDir: string;
  /** Begins the name of every container of this host. */
  readonly prefix: string;
  /** A container name that is no other host's, as in `t1a2b-1-web`. */
  name(base: string): string;
  /** dist/cli.js with the state and data folder of this host. */
  runspec(...args: readonly string[]): Promise<Executed>;
  /** In a process group of its own. */
  startRunspec(...args: readonly string[]): Promise<Started>;
  /** Writes a file below `folder`; gives its path. */
  write(name: string, text: string): string;
  snapshot(): Promise<Snapshot>;
  /** What differs from `before` once nothing moves any more, or after three seconds. */
  settledDiff(before: Snapshot): Promise<readonly string[]>;
  destroy(): Promise<void>;
}

let made = 0;

export async function createTestHost(): Promise<TestHost> {
  sweepCgroups();
  made += 1;
  const prefix = `t${process.pid.toString(36)}-${made}`;
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-system-')));
  const stateDir = path.join(folder, 'state');
  const dataDir = path.join(folder, 'data');
  for (const directory of [stateDir, dataDir]) fs.mkdirSync(directory, { mode: 0o700 });

  const holder = await hold(folder);
  const enter = [
    'nsenter',
    '--target',
    String(holder.pid),
    '--mount',
    '--net',
    '--pid',
    '--uts',
    '--ipc',
    '--',
  ];
  // nsenter keeps the working directory of the outer mount namespace: step into the one inside.
  const inside = [...enter, 'sh', '-c', 'cd "$0" && exec "$@"', folder];
  const env = { RUNSPEC_STATE_DIR: stateDir, RUNSPEC_DATA_DIR: dataDir };
  const here = placeBehind(inside, env);
  const there = placeBehind([...inside, 'nsenter', '--target', holder.remote, '--net', '--'], {});
  const cli = (args: readonly string[]): readonly string[] => [process.execPath, CLI, ...args];
  const snapshot = (): Promise<Snapshot> =>
    takeSnapshot({
      pid: holder.pid,
      output: here.output,
      cgroups: prefix,
      folders: ['/run', '/dev/shm', folder],
      // Unpacked layers are kept for the next container on purpose.
      ignore: [path.join(dataDir, 'images')],
    });

  return {
    ...here,
    address: '198.51.100.2',
    remote: { ...there, address: '198.51.100.1', beyond: '203.0.113.1' },
    pid: holder.pid,
    folder,
    stateDir,
    dataDir,
    prefix,
    name: (base) => `${prefix}-${base}`,
    runspec: (...args) => here.exec(cli(args)),
    startRunspec: (...args) => here.start(['setsid', ...cli(args)]),
    write: (name, text) => {
      const file = path.join(folder, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
      return file;
    },
    snapshot,
    settledDiff: async (before) => {
      const deadline = Date.now() + 3_000;
      for (;;) {
        const difference = diffSnapshots(before, await snapshot());
        if (difference.length === 0 || Date.now() > deadline) return difference;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    destroy: async () => {
      await holder.end(() => removeCgroups(prefix, 'thaw'));
      removeCgroups(prefix, 'remove');
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs a test in a host of its own and fails when anything of the host is not as it was before. */
export async function withHost(test: (host: TestHost) => Promise<void>): Promise<void> {
  const host = await createTestHost();
  try {
    const before = await host.snapshot();
    await test(host);
    const left = await host.settledDiff(before);
    if (left.length > 0) throw new Error(`the host is not as it was before:\n${left.join('\n')}`);
  } finally {
    await host.destroy();
  }
}

interface Holder {
  readonly pid: number;
  /** Process id of the remote's holder, as the host counts. */
  readonly remote: string;
  end(release: () => void): Promise<void>;
}

async function hold(folder: string): Promise<Holder> {
  const namespaces = [
    '--mount',
    '--net',
    '--pid',
    '--uts',
    '--ipc',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ];
  const script = path.join(import.meta.dirname, 'hold-host.sh');
  const child = spawn('unshare', [...namespaces, '--propagation', 'private', 'bash', script, folder], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...TEST_ENVIRONMENT },
  });
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += String(text)));
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), exited]);
  const remote = /^ready (\d+)$/.exec(String(first[0]))?.[1];
  if (remote === undefined || child.pid === undefined) {
    throw new Error(`no test host could be made: ${stderr || String(first)}`);
  }
  return {
    pid: childOf(child.pid),
    remote,
    end: async (release) => {
      child.stdin.end();
      // A frozen process does not die before it is thawed, and the kernel waits for it.
      release();
      await exited;
    },
  };
}

function placeBehind(prefix: readonly string[], env: Readonly<Record<string, string>>): Place {
  return {
    exec: (argv, options = {}) =>
      execute([...prefix, ...argv], { ...options, env: { ...env, ...options.env } }),
    output: (argv, options = {}) =>
      output([...prefix, ...argv], { ...options, env: { ...env, ...options.env } }),
    start: (argv) => start([...prefix, ...argv], env),
  };
}

async function start(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<Started> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...TEST_ENVIRONMENT, ...env },
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (written += String(text)));
  const ended = endOf(child);
  await once(child, 'spawn');
  const pid = await innermost(child);
  return {
    pid,
    kill: (signal) => process.kill(pid, signal),
    killGroup: (signal) => process.kill(-pid, signal),
    written: () => written,
    ended,
  };
}

async function endOf(child: ChildProcess): Promise<{ status: number | null; signal: NodeJS.Signals | null }> {
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { status, signal };
}

/** nsenter --pid forks: the command itself is its one child, and passes on how it ends. */
async function innermost(child: ChildProcess): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const pid = childOf(child.pid ?? 0);
    if (pid !== 0 || child.exitCode !== null) return pid;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('nsenter did not start its command');
}

function childOf(pid: number): number {
  try {
    return Number(fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
}

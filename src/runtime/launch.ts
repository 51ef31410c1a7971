// Starting a container's process under conmon, which outlives runspec and keeps its log and exit status.
// Takes nothing down but a monitor that still waits: what a failure or a kill leaves half-made is stop.ts's.
import { posix } from 'node:path';
import { OperationError } from '../errors.ts';
import type { Child, Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import type { ProcessStep } from '../plan/plan.ts';
import type { Phase } from '../plan/step-base.ts';
import { cgroupFolders, type CgroupFolder } from './cgroup-processes.ts';
import { awaitProgram, readExecutable } from './begun.ts';
import { checkPlaces, checkProcess } from './check-start.ts';
import { awaitExitFile, readOomKills } from './container-state.ts';
import { enterMonitorCgroup, keepMovesQuick, makeMonitorCgroup } from './monitor-cgroup.ts';
import { awaitReply } from './orphaned-init.ts';
import { type ProcessIdentity, readBootId, readIdentity } from './proc.ts';
import { type ProcessFile, launchOf, makeFolders, writeProcessFile } from './process-file.ts';
import { readConfig } from './read-config.ts';
import { readLogEnd } from './read-log.ts';
import { createError, execErrorIn, startError } from './runtime-errors.ts';

const SYNC_FD = 3;
const START_FD = 4;

export interface Launch {
  readonly mounts: readonly MountState[];
  readonly dataDir: string;
  /** Whether the user has interrupted. */
  readonly signal: AbortSignal;
  /**
   * Awaited with `create` before the runtime's `create`, which needs the root; with `start` while that is under way,
   * and once more right before the runtime's `start`.
   */
  readonly reached: (phase: Phase) => Promise<void>;
}

export async function launchProcess(
  host: Host,
  step: ProcessStep,
  { mounts, dataDir, signal, reached }: Launch,
): Promise<ProcessFile> {
  await makeFolders(host, step.records);
  // conmon is started in the bundle's folder; the files in it are made meanwhile.
  await makeFolders(host, step.bundle);
  const waiting = await startMonitor(host, step, mounts);
  let oom: ProcessFile['oom'];
  try {
    await reached('create');
    await makeFolders(host, step.runtimeRoot);
    await checkBundle(host, step, dataDir);
    oom = await readOomBaseline(host, step, mounts);
    await waiting.entered;
  } catch (error) {
    // A monitor left alone would read the end of its start pipe, and create the container.
    waiting.child.kill('SIGKILL');
    await waiting.child.exited;
    throw error;
  }
  const created = create(host, step, waiting, signal);
  if (waiting.cgroup !== undefined)
    // This only saves time: `create` reports what is wrong with the cgroup.
    keepMovesQuick(host, waiting.cgroup, () => readMonitorPid(host, step), created).catch(() => undefined);
  const isWhole = reached('start');
  // A failure is thrown where `isWhole` is awaited, once the container is created.
  isWhole.catch(() => undefined);
  const pid = await created;
  const init = await readIdentity(host, pid);
  const own = await readExecutable(host, pid);
  await isWhole;
  // An interrupt may have come since, and from the start on it would be too late.
  await reached('start');
  const startedAt = host.now();
  await startCreated(host, step);
  const monitor = await readMonitor(host, step);
  const record: ProcessFile = {
    container: step.container,
    bootId: await readBootId(host),
    // A process too short-lived to be seen still has a record, under a start time no other process has.
    init: init ?? { pid, startTime: '' },
    ...(monitor === undefined ? {} : { monitor }),
    startedAt,
    launch: launchOf(step),
    ...(oom === undefined ? {} : { oom }),
  };
  await failIfNeverExecuted(host, step, record, own);
  await writeProcessFile(host, step.records, record);
  return record;
}

async function checkBundle(host: Host, { bundle }: ProcessStep, dataDir: string): Promise<void> {
  const config = await readConfig(host, bundle);
  if (config === undefined) throw new OperationError(`the bundle ${bundle} is gone or damaged`);
  await checkProcess(host, await checkPlaces(host, config, dataDir), config);
}

/** The kernel's count of OOM kills before the start: a cgroup may have seen an earlier process of this container. */
export async function readOomBaseline(
  host: Host,
  step: ProcessStep,
  mounts: readonly MountState[],
): Promise<ProcessFile['oom']> {
  for (const { version, controllers, folder } of cgroupFolders(mounts, step.cgroup)) {
    if (version === 1 && !controllers.includes('memory')) continue;
    const file = `${folder}/${version === 2 ? 'memory.events' : 'memory.oom_control'}`;
    if ((await host.status(file)) !== undefined) return { file, kills: await readOomKills(host, file) };
  }
  return undefined;
}

export function monitorPidFile(step: ProcessStep): string {
  return `${step.bundle}/monitor.pid`;
}

/** The argv of conmon, to be started in the bundle's folder. */
export function monitorCommand(step: ProcessStep): readonly string[] {
  const { container, runtime } = step;
  const files = [
    '--container-pidfile',
    `${step.bundle}/container.pid`,
    '--conmon-pidfile',
    monitorPidFile(step),
  ];
  const argv = [
    'conmon',
    '--api-version',
    '1',
    '--cid',
    container,
    '--cuuid',
    container,
    '--name',
    container,
  ];
  argv.push('--runtime', runtime.path, '--runtime-arg', '--root', '--runtime-arg', step.runtimeRoot);
  argv.push('--bundle', step.bundle, '--full-attach', ...files);
  // The log's path is relative to conmon's folder: in an absolute one conmon takes a colon for the end of the path.
  const log = posix.relative(step.bundle, step.log);
  argv.push('--persist-dir', step.records, '--log-path', `k8s-file:${log}`, '--log-level', 'error');
  return step.terminal ? [...argv, '--terminal'] : argv;
}

/** A conmon that waits for a line on its start pipe before it does anything. */
interface Monitor {
  readonly argv: readonly string[];
  readonly child: Child;
  readonly cgroup: CgroupFolder | undefined;
  /** Resolves when conmon is in its cgroup. It may fork only then, so that all its children are there too. */
  readonly entered: Promise<void>;
  /** The first line of conmon's reply. */
  readonly answer: Promise<string>;
  /** conmon's stderr so far. */
  stderr(): string;
}

async function startMonitor(host: Host, step: ProcessStep, mounts: readonly MountState[]): Promise<Monitor> {
  const argv = monitorCommand(step);
  const path = await host.which('conmon');
  if (path === undefined) {
    throw new OperationError('conmon is not installed', {
      hint: 'install conmon; it keeps the log and exit status of the process',
    });
  }
  const cgroup = await makeMonitorCgroup(host, mounts, step.cgroup);
  const child = host.spawn([path, ...argv.slice(1)], {
    stdio: ['null', 'null', 'pipe', 'pipe', 'pipe'],
    cwd: step.bundle,
    // conmon gets no other variables: NOTIFY_SOCKET, LISTEN_FDS and the like are runspec's own business.
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      // conmon takes only letters of its locale in its arguments. It keeps 64 KiB for another one than C.
      ...(/\P{ASCII}/u.test(argv.join('')) ? { LC_CTYPE: 'C.UTF-8' } : {}),
      _OCI_SYNCPIPE: String(SYNC_FD),
      _OCI_STARTPIPE: String(START_FD),
      ...consoleFolder(step),
    },
    detached: true,
  });
  const stderr = collectText(child, 2);
  const answer = readFirstLine(child, SYNC_FD);
  // A conmon that ended at once has closed its end; its words on stderr tell why.
  child.pipe(START_FD).on('error', () => undefined);
  // The kernel waits for a grace period of RCU, up to 20 ms, before it moves a process; another move soon after does
  // not wait.
  const entered = cgroup === undefined ? Promise.resolve() : enterMonitorCgroup(host, cgroup, child.pid);
  // A failure is thrown where `entered` is awaited, once the root is there.
  entered.catch(() => undefined);
  return { argv, child, cgroup, entered, answer, stderr };
}

/** Runs `create` under conmon. @returns the pid of the container's init, which waits for `start`. */
async function create(
  host: Host,
  step: ProcessStep,
  { argv, child, answer, stderr }: Monitor,
  signal: AbortSignal,
): Promise<number> {
  child.pipe(START_FD).end('\n');
  const line = await awaitReply(host, step, answer, { monitor: () => readMonitorPid(host, step), signal });
  child.release();
  const reply = parseReply(line);
  if (reply !== undefined && reply.data > 0) {
    child.pipe(2).destroy();
    return reply.data;
  }
  const status = reply === undefined ? (await child.exited).status : undefined;
  throw createError(step, {
    argv,
    status,
    stderr: [reply?.message ?? '', stderr()].filter((text) => text !== '').join('\n'),
  });
}

/**
 * conmon makes the socket for a terminal in TMPDIR: in a folder of ours a kill leaves nothing behind in /tmp,
 * and a read-only /tmp does not matter. A socket's path has at most 107 bytes.
 */
function consoleFolder({ runtimeRoot }: ProcessStep): { readonly TMPDIR?: string } {
  return `${runtimeRoot}/conmon-term.XXXXXX`.length > 107 ? {} : { TMPDIR: runtimeRoot };
}

async function startCreated(host: Host, step: ProcessStep): Promise<void> {
  const result = await host.run([step.runtime.path, '--root', step.runtimeRoot, 'start', step.container]);
  if (result.status !== 0)
    throw startError(step, { argv: result.argv, status: result.status, stderr: result.stderr });
}

/**
 * Fails when execve(2) of the program has failed since `start` answered. What the kernel says of it (a wrong format, no
 * interpreter) goes to the container's log only; until then the process is still the runtime's own.
 * @throws OperationError
 */
async function failIfNeverExecuted(
  host: Host,
  step: ProcessStep,
  { init: { pid }, monitor, startedAt }: ProcessFile,
  own: string | undefined,
): Promise<void> {
  const hasEnded = async (): Promise<boolean> => (await readIdentity(host, pid)) === undefined;
  const isKnown = await awaitProgram(host, pid, step.runtime.name, own, hasEnded);
  if (!isKnown || !(await hasEnded())) return;
  if (monitor !== undefined) await awaitExitFile(host, step.records, monitor);
  const message = execErrorIn(await readLogEnd(host, step.log), startedAt);
  if (message === undefined) return;
  const argv = [step.runtime.path, 'start', step.container];
  throw startError(step, { argv, status: undefined, stderr: message });
}

async function readMonitor(host: Host, step: ProcessStep): Promise<ProcessIdentity | undefined> {
  const pid = await readMonitorPid(host, step);
  return pid === undefined ? undefined : readIdentity(host, pid);
}

async function readMonitorPid(host: Host, step: ProcessStep): Promise<number | undefined> {
  const pid = Number((await host.readText(monitorPidFile(step)))?.trim() ?? Number.NaN);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function collectText(child: Child, fd: number): () => string {
  const chunks: Buffer[] = [];
  const stream = child.pipe(fd);
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => undefined);
  return () => Buffer.concat(chunks).toString('utf8').trim();
}

/** Reads up to the first newline, or all there is at the end. */
function readFirstLine(child: Child, fd: number): Promise<string> {
  return new Promise((resolve) => {
    const stream = child.pipe(fd);
    let text = '';
    const finish = (): void => {
      resolve(text.split('\n')[0] ?? '');
      stream.destroy();
    };
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.includes('\n')) finish();
    });
    stream.once('end', finish);
    stream.once('error', finish);
  });
}

function parseReply(
  line: string,
): { readonly data: number; readonly message: string | undefined } | undefined {
  try {
    const {
      data,
      pid = data,
      message,
    } = JSON.parse(line) as { data?: number; pid?: number; message?: string };
    return typeof pid === 'number' ? { data: pid, message } : undefined;
  } catch {
    // No JSON, no reply: conmon ended before it had one, and the caller reports its stderr.
    return undefined;
  }
}

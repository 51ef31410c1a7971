// A further process in a running container: same namespaces, cgroup, capabilities and filter.
import { constants } from 'node:os';
import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { OperationError } from '../errors.ts';
import type { Child, Host, Stdio } from '../host/host.ts';
import type { ProcessStep } from '../plan/plan.ts';
import type { OciCapabilities, OciConfig, OciProcess } from '../oci/runtime-spec.ts';
import { checkCwd } from './check-cwd.ts';
import { createImpatience } from './leftovers.ts';
import { awaitPidFile } from './pid-file.ts';
import type { ProcessIdentity } from './proc.ts';
import { checkProgram, programError } from './program.ts';
import { readConfig } from './read-config.ts';
import { lookUp, type RootView, viewOfMounts, viewOfProcess } from './root-view.ts';
import { runtimeHint } from './runtime-errors.ts';
import { type Streams, makePipes, passInput, passOutput, removePipes } from './streams.ts';
import { checkSeenDatabases, resolveUser } from './users.ts';

export interface ExecRequest {
  readonly args: readonly string[];
  readonly terminal: boolean;
  /** The standard streams, when there is no terminal. */
  readonly streams: Streams & { tell(message: string): void };
  /** Absent for the container's own user. */
  readonly user?: string;
  /** `NAME=value`, over the container's environment. */
  readonly env: readonly string[];
  readonly cwd?: string;
  readonly signals: SignalSource;
}

/** Signals to runspec that are meant for the process in the foreground. */
export interface SignalSource {
  /** Aborted when a signal has come already, which its reason names. */
  readonly signal: AbortSignal;
  /** Calls `listener` for each signal that comes from now on, until the returned function is called. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
}

/**
 * @param pid the container's init.
 * @returns the process's status.
 * @throws OperationError for what kept it from starting.
 */
export async function execInContainer(
  host: Host,
  step: ProcessStep,
  pid: number,
  request: ExecRequest,
): Promise<number> {
  const base = `${step.bundle}/exec-${randomUUID()}`;
  const files = { process: `${base}.json`, log: `${base}.json.log`, pid: `${base}.pid` };
  // The pipes are made by mkfifo, beside the checks; what is wrong with the request is still reported first.
  const stdio = request.terminal ? Promise.resolve(INHERITED) : makePipes(host, step.runtime.name, base);
  // A failure is thrown where `stdio` is awaited.
  const isMade = stdio.catch(() => undefined);
  try {
    const process = await prepareExec(host, step, pid, request);
    await host.writeAtomic(files.process, JSON.stringify(process), { mode: 0o600, sync: false });
    return await runExec(host, step, files, await stdio, request);
  } finally {
    await isMade;
    await Promise.all(Object.values(files).map((file) => host.removeFile(file)));
    await removePipes(host, base);
  }
}

async function prepareExec(
  host: Host,
  step: ProcessStep,
  pid: number,
  request: ExecRequest,
): Promise<OciProcess> {
  // The container as it is now, all its mounts included; a lookup stays inside like one before the start.
  const view = viewOfProcess(pid);
  const config = await readConfig(host, step.bundle);
  if (config === undefined)
    throw new OperationError(`the bundle of ${step.container} is gone or damaged`, {
      hint: 'apply it again',
    });
  // Who its users are is looked up beneath what it may not see, as when its process was made.
  const isMasked = await checkSeenDatabases(host, view);
  const users = isMasked ? await viewOfMounts(host, config.root.path, config.mounts) : view;
  const process = await buildExecProcess(host, config, users, request);
  await checkCwd(host, view, process.cwd);
  if (request.cwd !== undefined && (await lookUp(host, view, request.cwd)) === 'missing')
    throw new OperationError(`no folder ${request.cwd} in ${step.container}`, {
      hint: '--cwd is a path inside the container',
    });
  const check = await checkProgram(host, view, process);
  if (check === 'missing' || check === 'not-executable') throw programError(check, process);
  if (request.terminal && !(await hasTerminal(host)))
    throw new OperationError('there is no terminal to pass on', {
      hint: 'leave -t out, or call it from a terminal',
    });
  return process;
}

/** With a terminal, runspec's own descriptors: the runtime copies between these and the container's terminal. */
const INHERITED: readonly Stdio[] = ['inherit', 'inherit', 'inherit'];

async function runExec(
  host: Host,
  step: ProcessStep,
  files: { readonly process: string; readonly log: string; readonly pid: string },
  stdio: readonly Stdio[],
  { args, terminal, signals, streams }: ExecRequest,
): Promise<number> {
  const { path, name } = step.runtime;
  const argv = [
    path,
    '--root',
    step.runtimeRoot,
    '--log',
    // The log's path is relative to the bundle: in an absolute one crun takes what is before a colon for the kind of
    // the log.
    posix.basename(files.log),
    '--log-format',
    'json',
    'exec',
    '--process',
    files.process,
    '--pid-file',
    files.pid,
    step.container,
  ];
  // Without a terminal the runtime is in a session of its own, out of reach of Ctrl-C: a signal comes once, from here.
  const child = host.spawn(argv, { stdio, detached: !terminal, cwd: step.bundle });
  const found = awaitPidFile(host, child, files.pid);
  // The file has the process's variables in it, so it is removed as soon as the runtime has read it.
  const isRead = found.then(() => host.removeFile(files.process));
  const status = terminal
    ? await waitForwarding(child, signals)
    : await waitForStreams(host, child, found, streams, signals);
  await isRead;
  const message = runtimeErrorIn((await host.readText(files.log)) ?? '');
  // Any other status is the process's own.
  if (message === undefined || (status !== 255 && status !== 1)) return status;
  throw new OperationError(`${name} cannot run ${args[0] ?? ''} in ${step.container}: ${message}`, {
    hint: runtimeHint(message),
  });
}

/**
 * Waits for the process and for the end of its streams. Children that it leaves behind keep these open, as with `docker
 * exec`, but not once a signal asks for the end.
 */
async function waitForStreams(
  host: Host,
  child: Child,
  found: Promise<ProcessIdentity | undefined>,
  streams: ExecRequest['streams'],
  signals: SignalSource,
): Promise<number> {
  passInput(child, streams.input(), (error) => streams.tell(`its input ends early: ${error.message}`));
  const drained = Promise.all([
    passOutput(child, 1, streams.unread.stdout, streams.stdout),
    passOutput(child, 2, streams.unread.stderr, streams.stderr),
  ]);
  const over = { seen: false };
  const { hear, ended } = createImpatience(host, found, over);
  const whole = drained.then(() => child.exited);
  const waitedFor = {
    exited: Promise.race([whole, ended]),
    kill: (signal: NodeJS.Signals) => child.kill(signal),
  };
  try {
    return await waitForwarding(waitedFor, signals, async (signal) => {
      hear(signal);
      return false;
    });
  } finally {
    over.seen = true;
    // The runtime is still there when runspec has stopped waiting for it.
    child.kill('SIGKILL');
    await child.exited;
    for (const fd of [0, 1, 2]) child.pipe(fd).destroy();
  }
}

/**
 * @param actInstead is asked before a signal is passed on; true keeps it from the child.
 * @returns the status a shell would show: 128 + the number of a signal.
 */
export async function waitForwarding(
  child: Pick<Child, 'exited' | 'kill'>,
  signals: SignalSource,
  actInstead: (signal: NodeJS.Signals) => Promise<boolean> = async () => false,
): Promise<number> {
  // Signals are passed on one after the other, so that they arrive in the order in which they came.
  let passed = Promise.resolve();
  const pass = async (signal: NodeJS.Signals): Promise<void> => {
    // A look at the process that fails is no reason to keep a signal from it.
    const isDone = await actInstead(signal).catch(() => false);
    if (!isDone) child.kill(signal);
  };
  const forward = (signal: NodeJS.Signals): void => {
    passed = passed.then(() => pass(signal));
  };
  const stop = signals.onSignal(forward);
  if (signals.signal.aborted) forward(signals.signal.reason as NodeJS.Signals);
  const ended = await child.exited;
  stop();
  await passed;
  return ended.signal === undefined ? (ended.status ?? 125) : 128 + constants.signals[ended.signal];
}

async function buildExecProcess(
  host: Host,
  config: OciConfig,
  users: RootView,
  request: ExecRequest,
): Promise<OciProcess> {
  // The terminal that `run` passed on is not this one.
  const { consoleSize: _, ...process } = config.process;
  const own = { ...process, args: request.args, terminal: request.terminal, cwd: request.cwd ?? process.cwd };
  const terminal =
    request.terminal && !process.env.some((entry) => entry.startsWith('TERM=')) ? ['TERM=xterm'] : [];
  if (request.user === undefined)
    return { ...own, env: mergeEnvironment([...process.env, ...terminal, ...request.env]) };
  const user = await resolveUser(host, users, request.user, []);
  return {
    ...own,
    env: mergeEnvironment([...process.env, `HOME=${user.home}`, ...terminal, ...request.env]),
    user: {
      uid: user.uid,
      gid: user.gid,
      ...(user.additionalGids.length === 0 ? {} : { additionalGids: user.additionalGids }),
    },
    capabilities: capabilitiesOf(process, user.uid),
  };
}

/**
 * Capabilities for a user, with the container's bounding set: all of it for root; for others what the container's own
 * user has, unless that is root.
 */
function capabilitiesOf({ user, capabilities }: OciProcess, uid: number): OciCapabilities {
  const { bounding } = capabilities;
  if (uid === 0) return { bounding, effective: bounding, permitted: bounding, inheritable: [], ambient: [] };
  if (user.uid !== 0) return capabilities;
  return { bounding, effective: [], permitted: [], inheritable: [], ambient: [] };
}

/** The last value of each name wins, at the place of the first. */
function mergeEnvironment(entries: readonly string[]): readonly string[] {
  const values = new Map<string, string>();
  for (const entry of entries) values.set(entry.split('=', 1)[0] ?? '', entry);
  return [...values.values()];
}

/** Whether one of the standard descriptors is a terminal: runtimes take whichever of the three is one. */
async function hasTerminal(host: Host): Promise<boolean> {
  const targets = await Promise.all([0, 1, 2].map((fd) => host.readLink(`/proc/self/fd/${fd}`)));
  return targets.some((target) => /^\/dev\/(?:pts\/|tty|console|hvc|ttyS)/.test(target));
}

/** The last error of a runtime's JSON log. */
function runtimeErrorIn(log: string): string | undefined {
  const line = log.split('\n').findLast((entry) => /"level":"(?:error|fatal)"/.test(entry));
  if (line === undefined) return undefined;
  try {
    return (JSON.parse(line) as { msg?: string }).msg;
  } catch {
    // A full disk has cut the line short: the line itself says enough.
    return line;
  }
}

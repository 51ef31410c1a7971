// The process in the foreground, for `run`: the runtime is runspec's own child, with its terminal, or with pipes from
// which runspec keeps the log. Everything else, including taking down, is as usual.
import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import type { Child, Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { shownSysctls } from '../plan/process-steps.ts';
import { RECORD_FILES } from '../plan/container-folder.ts';
import { awaitProgram } from './begun.ts';
import { ENDING, isLostOn } from './default-action.ts';
import { type SignalSource, waitForwarding } from './exec-process.ts';
import { readOomBaseline } from './launch.ts';
import { createLogEntries } from './log-entries.ts';
import { type ProcessIdentity, readBootId } from './proc.ts';
import { settleSysctls } from './namespace-sysctls.ts';
import { awaitPidFile, watchExit } from './pid-file.ts';
import { readConfig } from './read-config.ts';
import { launchOf, makeFolders, writeProcessFile } from './process-file.ts';
import { readLogEnd } from './read-log.ts';
import { createError, execErrorIn, startError } from './runtime-errors.ts';
import { type Streams, makePipes, passInput, passOutput } from './streams.ts';

/** The status that a shell shows for a process that SIGKILL ended. */
const KILLED = 128 + constants.signals.SIGKILL;

/** Number of signals asking for the end at which the process is killed, whatever its program does with them. */
const PATIENT = 5;

export interface ForegroundStreams extends Streams {
  /** Called when the process is there: output from now on is its own. */
  created(): void;
}

/**
 * Runs the bundle to its end.
 * @param signals are passed on to the process. A signal that is lost on it as process 1 ends it as it would end any
 *   other process, and so does the fifth signal that asks for its end.
 * @returns its exit status, 128 + the number of a signal.
 * @throws OperationError when it could not be started.
 */
export async function runForeground(
  host: Host,
  step: ProcessStep,
  mounts: readonly MountState[],
  output: ForegroundStreams,
  signals: SignalSource,
): Promise<number> {
  await makeFolders(host, step.records);
  await makeFolders(host, step.runtimeRoot);
  const oom = await readOomBaseline(host, step, mounts);
  const pidFile = `${step.bundle}/container.pid`;
  await host.removeFile(pidFile);
  // The log's path is relative to the bundle, where the runtime is started: in an absolute one crun takes what is
  // before a colon for the kind of the log.
  const errorLog = 'runtime.log';
  const argv = [step.runtime.path, '--root', step.runtimeRoot, '--log', errorLog];
  argv.push('run', '--bundle', step.bundle, '--pid-file', pidFile, step.container);
  // With a terminal the runtime copies between it and the container's own, so it needs to stay in the
  // terminal's foreground group; without, signals come once, from here.
  const child = host.spawn(argv, {
    stdio: step.terminal
      ? ['inherit', 'inherit', 'inherit']
      : await makePipes(host, step.runtime.name, `${step.bundle}/run-${randomUUID()}`),
    detached: !step.terminal,
    cwd: step.bundle,
  });
  // A failure to keep the log or a record, as on a full disk, is told once: the process and its output go on.
  const told = new Set<string>();
  const tell = (what: string, error: unknown): void => {
    // Somebody is taking the container down meanwhile, and nothing needs to be kept.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    if (!told.has(what)) void output.stderr(Buffer.from(`runspec: ${what}: ${(error as Error).message}\n`));
    told.add(what);
  };
  const entries = createLogEntries(host, step.log);
  const keep = (name: 'stdout' | 'stderr', chunk: Buffer): Promise<void> =>
    entries.write(name, chunk).catch((error: unknown) => tell('its log has gaps', error));
  const startedAt = host.now();
  const found = awaitPidFile(host, child, pidFile);
  // The file alone does not tell: a `down` while the process runs removes it.
  const created = found.then(
    async (init) => init !== undefined || (await host.status(pidFile)) !== undefined,
  );
  const gated = createGate(output, created);
  if (!step.terminal) passInput(child, output.input(), (error) => tell('its input ends early', error));
  const drained = step.terminal
    ? Promise.resolve()
    : Promise.all([tee(child, 1, keep, gated), tee(child, 2, keep, gated)]);
  const recorded = found
    .then(async (init) => {
      if (init === undefined) return;
      const bootId = await readBootId(host);
      const launch = launchOf(step);
      await writeProcessFile(host, step.records, {
        container: step.container,
        bootId,
        init,
        startedAt,
        launch,
        ...(oom === undefined ? {} : { oom }),
      });
    })
    .catch((error: unknown) => tell('ps and exec do not know it', error));
  const settled = found
    .then(async (init) => {
      const sysctls = (await readConfig(host, step.bundle))?.linux.sysctl;
      if (init === undefined || sysctls === undefined) return;
      await settleSysctls(host, shownSysctls(step.bundle), init, sysctls);
    })
    .catch((error: unknown) => tell('status cannot tell whether its sysctls stay', error));
  // Signals wait until the program has begun: the runtime would pass them to an init that has no program yet.
  const begun = found.then((init) => whenBegun(host, child, step.runtime.name, init));
  // Only a signal makes anybody await `begun`; the same failure is reported by `recorded`.
  begun.catch(() => undefined);
  let endedBy: NodeJS.Signals | undefined;
  let askedToEnd = 0;
  // The handlers are looked at before the signal is passed on, as it may make the process give them up.
  const ended = await waitForwarding(child, signals, async (signal) => {
    const init = await begun;
    if (init === undefined) return false;
    if (ENDING.has(signal)) askedToEnd += 1;
    if (askedToEnd < PATIENT && !(await isLostOn(host, init, signal))) return false;
    endedBy ??= signal;
    return host.kill(init.pid, 'SIGKILL');
  });
  const status = endedBy === undefined || ended !== KILLED ? ended : 128 + constants.signals[endedBy];
  await Promise.all([recorded, settled, created]);
  await drained;
  const complaint = (await host.readText(`${step.bundle}/${errorLog}`)) ?? '';
  const command = { argv, status, stderr: complaint };
  if (!(await created)) throw createError(step, command);
  const failure = status === 1 ? execErrorIn(await readLogEnd(host, step.log), startedAt) : undefined;
  if (failure !== undefined) throw startError(step, { ...command, stderr: failure });
  await host
    .writeAtomic(`${step.records}/${RECORD_FILES.exit}`, String(status), { mode: 0o600 })
    .catch((error: unknown) => tell('its exit status is not kept', error));
  return status;
}

function ignore(): void {}

/**
 * Holds back output until it is known whether there is a process. Without one the output is dropped: the runtime's own
 * complaint is in its log too, and reported with the failure.
 */
function createGate(output: ForegroundStreams, created: Promise<boolean>): ForegroundStreams {
  let held: (() => Promise<void>)[] | undefined = [];
  let isOpen = false;
  const pass = async (write: () => Promise<void>): Promise<void> => {
    // Held output is not waited for, or a runtime that has more to say first could not go on.
    if (held !== undefined) held.push(write);
    else if (isOpen) await write();
  };
  void created.then((isCreated) => {
    const writes = held ?? [];
    held = undefined;
    isOpen = isCreated;
    if (!isCreated) return;
    output.created();
    for (const write of writes) void write();
    // The maker of `created` awaits it too, and handles its failure.
  }, ignore);
  return {
    ...output,
    stdout: (chunk) => pass(() => output.stdout(chunk)),
    stderr: (chunk) => pass(() => output.stderr(chunk)),
  };
}

/** Resolves to the init once it is the container's program, or when there is nothing left to wait for. */
async function whenBegun(
  host: Host,
  child: Child,
  runtime: string,
  init: ProcessIdentity | undefined,
): Promise<ProcessIdentity | undefined> {
  if (init === undefined) return undefined;
  const exit = watchExit(child);
  await awaitProgram(host, init.pid, runtime, undefined, async () => exit.seen);
  return init;
}

function tee(
  child: Child,
  fd: 1 | 2,
  keep: (name: 'stdout' | 'stderr', chunk: Buffer) => Promise<void>,
  output: ForegroundStreams,
): Promise<void> {
  const name = fd === 1 ? 'stdout' : 'stderr';
  // The process has to wait for a slow reader.
  const pass = untilExit(child);
  return passOutput(child, fd, output.unread[name], (chunk) =>
    Promise.all([pass(output[name](chunk)), keep(name, chunk)]),
  );
}

/**
 * Awaits promises while the child runs. After its end only what the kernel holds of its output is left, and a reader
 * that takes none of that must not keep the container from being taken down.
 */
function untilExit(child: Child): (passed: Promise<void>) => Promise<void> {
  let isOver = false;
  let giveUp = ignore;
  void child.exited.then(() => {
    isOver = true;
    giveUp();
  });
  // Promise.race would leave a handler with `exited` for each promise.
  return (passed) =>
    new Promise((resolve) => {
      giveUp = resolve;
      if (isOver) resolve();
      void passed.then(resolve);
    });
}

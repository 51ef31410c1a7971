// run: a container in the foreground. Everything but the process is applied as usual; the process is
// runspec's own child, and when it ends, all of it is taken down.
import { OperationError, SeveralFailures, UsageError } from '../errors.ts';
import { createKernelView, type MountState } from '../host/kernel-view.ts';
import type { LoadedSpec } from '../load/load.ts';
import type { Plan, ProcessStep } from '../plan/plan.ts';
import type { Change } from '../run/changes.ts';
import { holdForeground } from '../run/foreground.ts';
import { readBootId } from '../runtime/proc.ts';
import { withLock } from '../run/lock.ts';
import { lookAtMade, type Made, removeUntouched } from '../run/made-data.ts';
import { createRecords } from '../run/records.ts';
import { openSession } from '../run/session.ts';
import { type ForegroundStreams, runForeground } from '../runtime/foreground.ts';
import { convergeLocked } from './converge-locked.ts';
import { alreadyUp } from './already-up.ts';
import { EXIT, type CommandContext } from './context.ts';
import { takeDown } from './take-down.ts';
import { failureEvent } from './failure-json.ts';
import { loadSpecs } from './load-specs.ts';
import { placeFailure } from './place-failure.ts';
import { renderFailure } from './render-failure.ts';
import { createReporter } from './reporter.ts';
import { requireRoot } from './require-root.ts';

/** @returns the process's own status, or 125 when it could not be started. */
export async function run(context: CommandContext, target: string, args: readonly string[]): Promise<number> {
  const loaded = await loadSpecs(context, [target]);
  const [only, ...others] = loaded.specs;
  if (only === undefined || others.length > 0)
    throw new UsageError(
      `${target} has ${loaded.specs.length} specs`,
      'run takes one; use apply for several',
    );
  await requireRoot(context);
  const { name } = only.spec;
  if (
    (await createRecords(context.host, context.dataDir, await readBootId(context.host)).read(name)) !==
    undefined
  ) {
    throw alreadyUp(name);
  }
  const isWanted = only.spec.process.terminal && !context.json;
  if (isWanted && !context.stdinIsTerminal && !context.quiet)
    context.stderr('there is no terminal here to pass on: the process gets pipes');
  // Lines of steps would mix with the output of the process, so only --verbose shows them.
  const silent = { ...context, quiet: !context.verbose };
  try {
    return await runThrough(silent, { ...loaded, specs: [adjust(context, only, args)] }, name);
  } catch (error) {
    if (!(error instanceof OperationError || error instanceof SeveralFailures)) throw error;
    renderFailure(error, context.color).lines.forEach(context.stderr);
    if (context.json) context.stdout(failureEvent(error, EXIT.ownFailure));
    return EXIT.ownFailure;
  }
}

function adjust(context: CommandContext, loaded: LoadedSpec, args: readonly string[]): LoadedSpec {
  const { process } = loaded.spec;
  // A terminal is passed on, not made up: without one here, or with events in its place, the process gets pipes.
  const terminal = process.terminal && context.stdinIsTerminal && !context.json;
  // runc passes the size on a moment after the start, crun 1.8 never does.
  const consoleSize = terminal ? context.consoleSize() : undefined;
  return {
    ...loaded,
    // Arguments from the command line have no place in the file.
    locate: async (path) =>
      args.length > 0 && path[0] === 'process' && path[1] === 'args' ? undefined : loaded.locate(path),
    spec: {
      ...loaded.spec,
      process: {
        ...process,
        terminal,
        ...(consoleSize === undefined ? {} : { consoleSize }),
        ...(args.length === 0 ? {} : { args }),
      },
    },
  };
}

async function runThrough(
  context: CommandContext,
  loaded: Parameters<typeof convergeLocked>[1],
  name: string,
): Promise<number> {
  const { host, dataDir, lockTimeout } = context;
  // The signal that ended the process must not end the way back.
  const calm = { ...context, signal: new AbortController().signal };
  const locked = <T>(work: () => Promise<T>): Promise<T> => withLock(host, dataDir, lockTimeout, work);
  const foreground = await locked(() => holdForeground(host, dataDir, name, abandonedCommand(context, name)));
  // Of another runspec, which may have been first, nothing is taken down.
  let ours: readonly Change[] | undefined;
  let made: readonly Made[] = [];
  let hasStarted = false;
  try {
    const [plan] = await convergeLocked(context, loaded, {
      keepOnFailure: false,
      leaveOut: 'process',
      whenBegun: (changes) => (ours = changes),
    });
    if (plan === undefined) throw new OperationError('there is no plan to run');
    made = await lookAtMade(calm, name, ours ?? []);
    const mounts = await createKernelView(host).mounts();
    const status = await attach(context, plan, mounts, loaded.specs[0]);
    hasStarted = true;
    if (context.json) context.stdout(`${JSON.stringify({ event: 'exited', container: name, status })}\n`);
    return status;
  } finally {
    await locked(async () => {
      try {
        const session = await openSession(calm);
        if (ours !== undefined && (await session.records.read(name)) !== undefined) {
          const report = createReporter(calm);
          await takeDown(calm, session, name, report, { volumes: false });
          const removed = hasStarted ? [] : await removeUntouched(session, name, made);
          if (removed.length > 0)
            report.progress(name, '', `removed ${removed.join(', ')}, made for nothing`);
        }
      } finally {
        await foreground.release();
      }
    });
  }
}

/** Runs the process, whose step apply has left out. */
async function attach(
  context: CommandContext,
  plan: Plan,
  mounts: readonly MountState[],
  loaded: LoadedSpec | undefined,
): Promise<number> {
  const { host } = context;
  const { name: container } = plan;
  const step = processOf(plan);
  const report = createReporter(context);
  const started = host.monotonic();
  let isSaid = false;
  const say = (outcome: 'done' | 'failed'): void => {
    if (isSaid) return;
    isSaid = true;
    report.step({ container, step, action: 'create', outcome, milliseconds: host.monotonic() - started });
  };
  const output = { ...outputOf(context, container), created: () => say('done') };
  try {
    return await runForeground(host, step, mounts, output, context);
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    say('failed');
    throw await placeFailure(error.with({ container, step: step.id }), plan, loaded);
  }
}

/** Passes the process's output on to the same streams here; with --json standard output holds nothing but events. */
function outputOf(context: CommandContext, container: string): Omit<ForegroundStreams, 'created'> {
  const { input, stdoutBytes, stderrBytes, unread } = context;
  if (!context.json) return { input, stdout: stdoutBytes, stderr: stderrBytes, unread };
  const told = (stream: 'stdout' | 'stderr'): ((chunk: Buffer) => Promise<void>) => {
    const decoder = new TextDecoder();
    return async (chunk) => {
      const text = decoder.decode(chunk, { stream: true });
      const event = { event: 'output', container, stream, text };
      if (text !== '') await stdoutBytes(Buffer.from(`${JSON.stringify(event)}\n`));
    };
  };
  return {
    input,
    stdout: told('stdout'),
    stderr: told('stderr'),
    unread: { stdout: unread.stdout, stderr: unread.stdout },
  };
}

/**
 * Command of the watcher, for when this `run` is killed. It waits long for other runspecs: nobody will call it again.
 */
function abandonedCommand({ self, stateDir, dataDir }: CommandContext, name: string): readonly string[] {
  const places = ['--state-dir', stateDir, '--data-dir', dataDir];
  return [...self, ...places, '--lock-timeout', '60m', 'down', '--abandoned', name];
}

function processOf(plan: Plan): ProcessStep {
  const step = plan.steps.find((one) => one.op === 'process');
  if (step === undefined) throw new OperationError(`the plan of ${plan.name} has no process`);
  return step;
}

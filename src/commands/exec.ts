// exec: a further process in a running container, with this command's own standard streams.
import { OperationError, UsageError } from '../errors.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { createRecords, recordedSteps } from '../run/records.ts';
import { readMounts } from '../host/kernel-view.ts';
import { findHolding, withoutGuarded } from '../runtime/freeze.ts';
import { readBootId, waitUntil } from '../runtime/proc.ts';
import { readContainerState } from '../runtime/container-state.ts';
import { execInContainer } from '../runtime/exec-process.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { renderFailure } from './render-failure.ts';
import { unknownContainer } from './unknown-container.ts';

/** After which people are told what is waited for. */
const PATIENCE_MS = 2000;
/** Guards are looked for among all processes. */
const PAUSE_MS = 200;

export interface ExecOptions {
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly user?: string;
  readonly env: readonly string[];
  readonly cwd?: string;
}

/** @returns the process's own status, or 125 when it could not be started. */
export async function exec(
  context: CommandContext,
  name: string,
  args: readonly string[],
  options: ExecOptions,
): Promise<number> {
  await requireRoot(context);
  if (options.user !== undefined) {
    const { parseUser } = await import('../load/formats.ts');
    const user = parseUser(options.user);
    if ('problem' in user) throw new UsageError(`--user ${options.user} ${user.problem}`, user.hint);
  }
  const env = options.env.map((entry) => settleVariable(entry, context.environment));
  if (options.cwd !== undefined && !options.cwd.startsWith('/')) {
    throw new UsageError(`--cwd ${options.cwd} is not absolute`, 'it is a path inside the container');
  }
  try {
    return await execIn(context, name, args, { ...options, env });
  } catch (error) {
    // An interrupted command did not fail to start: its error goes to cli.ts.
    if (context.signal.aborted) throw error;
    renderFailure(error, context.color).lines.forEach(context.stderr);
    return EXIT.ownFailure;
  }
}

async function execIn(
  context: CommandContext,
  name: string,
  args: readonly string[],
  { interactive, tty, env, user, cwd }: ExecOptions,
): Promise<number> {
  const step = await findProcess(context, name);
  await findInit(context, step);
  await awaitThaw(context, step);
  // It may have ended meanwhile.
  const pid = await findInit(context, step);
  return execInContainer(context.host, step, pid, {
    args,
    terminal: tty,
    streams: {
      input: () => (interactive ? context.input() : undefined),
      stdout: context.stdoutBytes,
      stderr: context.stderrBytes,
      unread: context.unread,
      tell: (message) => context.stderr(`warning: ${message}`),
    },
    env,
    signals: context,
    ...(user === undefined ? {} : { user }),
    ...(cwd === undefined ? {} : { cwd }),
  });
}

async function findInit({ host }: CommandContext, { container, records }: ProcessStep): Promise<number> {
  const state = await readContainerState(host, records);
  if (state.status === 'running') return state.pid;
  throw new OperationError(`${container} does not run`, {
    hint: 'see: runspec ps; start it with runspec apply',
  });
}

/** A new process in a frozen cgroup does not begin. A `commit` lets go again; for anybody else nothing is waited for. */
async function awaitThaw(
  { host, signal, quiet, stderr }: CommandContext,
  { container, cgroup }: ProcessStep,
): Promise<void> {
  const mounts = await readMounts(host);
  let holding = await findHolding(host, mounts, cgroup);
  if (holding.length === 0) return;
  const isThawed = async (): Promise<boolean> => {
    signal.throwIfAborted();
    const alone = await withoutGuarded(host, holding);
    // A guard thaws before it ends.
    holding = await findHolding(host, mounts, cgroup);
    const left = alone.find(({ file }) => holding.some((one) => one.file === file));
    if (left !== undefined)
      throw new OperationError(`${container} is paused`, {
        hint: `let it go on first: echo ${left.thawed} >${left.file}`,
      });
    return holding.length === 0;
  };
  if (await waitUntil(host, PATIENCE_MS, isThawed)) return;
  if (!quiet) stderr(`${container} is held still by a commit: waiting for its end`);
  while (!(await isThawed())) await host.sleep(PAUSE_MS);
}

/** A mere name takes the value from here: of a secret nobody reads it in the list of processes. */
function settleVariable(entry: string, environment: CommandContext['environment']): string {
  if (/^[^=]+=/.test(entry)) return entry;
  if (/^(?:=|$)/.test(entry))
    throw new UsageError(`--env ${JSON.stringify(entry)} names no variable`, 'write it as NAME=value');
  const value = environment[entry];
  if (value !== undefined) return `${entry}=${value}`;
  throw new UsageError(
    `--env ${entry} has no value, and there is none in this environment`,
    'write it as NAME=value',
  );
}

/** The process step of a container that is up, from its records. */
export async function findProcess(context: CommandContext, name: string): Promise<ProcessStep> {
  const { host, dataDir } = context;
  const records = createRecords(host, dataDir, await readBootId(host));
  const record = await records.read(name);
  const step = record === undefined ? undefined : recordedSteps(record).find((one) => one.op === 'process');
  if (step !== undefined) return step;
  throw await unknownContainer(records, name);
}

// exec: a further process in a running container, with this command's own standard streams.
import { OperationError, UsageError } from '../errors.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { createRecords, recordedSteps } from '../run/records.ts';
import { readBootId } from '../runtime/proc.ts';
import { readContainerState } from '../runtime/container-state.ts';
import { execInContainer } from '../runtime/exec-process.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { renderFailure } from './render-failure.ts';
import { unknownContainer } from './unknown-container.ts';

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
  const state = await readContainerState(context.host, step.records);
  if (state.status !== 'running') {
    throw new OperationError(`${name} does not run`, {
      hint: 'see: runspec ps; start it with runspec apply',
    });
  }
  return execInContainer(context.host, step, state.pid, {
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

/**
 * A name without a value takes it from our environment: a secret on the command line could be read in the process list.
 */
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

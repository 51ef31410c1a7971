// An orphaned init, which a runtime that is killed in its `create` (the kernel is out of memory) leaves alone: it waits
// for a `start` with the runtime's stderr open, while conmon waits for the end of that stderr to report. Neither would
// end.
import { OperationError, UnreachedError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { readProcFile } from './proc.ts';

/** Time between looks for an orphaned init; a reply usually takes 50 ms. */
const PAUSE_MS = 500;
/** Limit for `create`: a runtime that takes longer waits for something in the container. */
const CREATE_MS = 120_000;

/**
 * Waits for conmon's reply, whatever happens to the runtime.
 * @param monitor gives the pid of conmon, once it is known.
 * @throws UnreachedError once the user has interrupted; OperationError when no reply comes in time. Nothing is undone.
 */
export async function awaitReply(
  host: Host,
  step: ProcessStep,
  reply: Promise<string>,
  { monitor, signal }: { readonly monitor: () => Promise<number | undefined>; readonly signal: AbortSignal },
): Promise<string> {
  const pause = (): Promise<undefined> => host.sleep(PAUSE_MS).then(() => undefined);
  for (const end = host.monotonic() + CREATE_MS; host.monotonic() < end;) {
    const line = await Promise.race([reply, pause()]);
    if (line !== undefined) return line;
    if (signal.aborted) throw new UnreachedError(step.id);
    const pid = await monitor();
    if (pid !== undefined) await endOrphanedInit(host, step, pid);
  }
  throw new OperationError(
    `${step.runtime.name} has not created ${step.container} within ${CREATE_MS / 1000} seconds`,
    {
      hint: 'it waits for something in the root file system or in the kernel; what it had begun has been ended',
    },
  );
}

/** Kills what conmon has adopted from a `create` that ended without success, so that conmon reports the failure. */
export async function endOrphanedInit(host: Host, step: ProcessStep, monitor: number): Promise<void> {
  const children = await readProcFile(host, `/proc/${monitor}/task/${monitor}/children`);
  const pids = (children ?? '').trim().split(' ').filter(Boolean).map(Number);
  for (const pid of pids) if (await mayBeCreate(host, pid)) return;
  // `create` writes this file last: with it there is no failure to report.
  if ((await host.status(`${step.bundle}/container.pid`)) !== undefined) return;
  for (const pid of pids) await host.kill(pid, 'SIGKILL');
}

/** Whether the process may be the runtime's `create`, which is still a conmon between fork and execve(2). */
async function mayBeCreate(host: Host, pid: number): Promise<boolean> {
  const argv = ((await readProcFile(host, `/proc/${pid}/cmdline`)) ?? '').split('\0');
  return argv.includes('create') || (argv[0]?.endsWith('conmon') ?? false);
}

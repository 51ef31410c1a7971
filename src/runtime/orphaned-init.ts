// A runtime that is killed in its `create` (the kernel is out of memory) leaves the container's init alone: it waits for a
// `start` with the runtime's stderr open, while conmon waits for the end of that stderr to report. Neither would end.
import type { Host } from '../host/host.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { readProcFile } from './proc.ts';

/** A reply usually takes 50 ms. */
const PAUSE_MS = 500;

/** Waits for conmon's reply, whatever happens to the runtime. `monitor` gives the pid of conmon, once it is known. */
export async function awaitReply(
  host: Host,
  step: ProcessStep,
  reply: Promise<string>,
  monitor: () => Promise<number | undefined>,
): Promise<string> {
  const pause = (): Promise<undefined> => host.sleep(PAUSE_MS).then(() => undefined);
  for (;;) {
    const line = await Promise.race([reply, pause()]);
    if (line !== undefined) return line;
    const pid = await monitor();
    if (pid !== undefined) await endOrphanedInit(host, step, pid);
  }
}

/** Kills what conmon has adopted of a `create` that ended without success; conmon then reports the failure. */
export async function endOrphanedInit(host: Host, step: ProcessStep, monitor: number): Promise<void> {
  const children = await readProcFile(host, `/proc/${monitor}/task/${monitor}/children`);
  const pids = (children ?? '').trim().split(' ').filter(Boolean).map(Number);
  for (const pid of pids) if (await mayBeCreate(host, pid)) return;
  // The last thing that `create` does: with this file there is no failure to report.
  if ((await host.status(`${step.bundle}/container.pid`)) !== undefined) return;
  for (const pid of pids) await host.kill(pid, 'SIGKILL');
}

/** Between fork and execve(2) it still is a conmon. */
async function mayBeCreate(host: Host, pid: number): Promise<boolean> {
  const argv = ((await readProcFile(host, `/proc/${pid}/cmdline`)) ?? '').split('\0');
  return argv.includes('create') || (argv[0]?.endsWith('conmon') ?? false);
}

// Ending a container's process and all that came with it, from any state a crash can leave: not created,
// created but not started, its monitor killed, its records missing. Finds processes by cgroup, never by a
// remembered pid alone, and leaves the cgroup's limits for the next start.
import type { Host } from '../host/host.ts';
import type { MountState } from '../host/kernel-view.ts';
import { listPids } from '../host/proc-files.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { RECORD_FILES } from '../plan/container-folder.ts';
import { awaitEnd, type Waiting } from './await-end.ts';
import { readContainerState } from './container-state.ts';
import { findFrozen, thaw } from './freeze.ts';
import { cgroupFolders, killProcesses, listProcesses } from './cgroup-processes.ts';
import { monitorCgroup, removeMonitorCgroup } from './monitor-cgroup.ts';
import { isAlive, type ProcessIdentity, readBootId, readProcFile, waitUntil } from './proc.ts';
import { readProcessFile } from './process-file.ts';

/** Time for processes that have been sent SIGKILL; only one stuck in the kernel takes longer. */
const KILL_MS = 10_000;
/** Time for conmon to write the last output and the exit status once the process is gone. */
const MONITOR_MS = 2000;

/**
 * @param waiting absent for one that gets no time to end.
 * @returns whether anything was there.
 */
export async function stopProcess(
  host: Host,
  step: ProcessStep,
  mounts: readonly MountState[],
  waiting?: Waiting,
): Promise<boolean> {
  const container = cgroupFolders(mounts, step.cgroup);
  const monitor = monitorCgroup(mounts, step.cgroup);
  const monitors = monitor === undefined ? [] : [monitor];
  const state = await readContainerState(host, step.records);
  const known = await readProcessFile(host, step.records);
  // After a reboot the pids of the record may be those of any processes.
  const record = known?.bootId === (await readBootId(host)) ? known : undefined;
  const complete =
    record !== undefined &&
    (record.monitor === undefined ||
      (await isAlive(host, record.monitor)) ||
      !(await isAlive(host, record.init)));
  if (record !== undefined && waiting !== undefined && step.stopTimeout > 0 && state.status === 'running') {
    await host.kill(record.init.pid, step.stopSignal as NodeJS.Signals);
    // A frozen process hears of the signal only when it goes on.
    await thaw(host, await findFrozen(host, mounts, step.cgroup));
    await awaitEnd(host, step, async () => !(await isAlive(host, record.init)), waiting);
  }
  // A start that was cut short may go on by itself, so what could still make processes is killed before the rest. A
  // start makes the monitor's cgroup first of all, and that is removed last: without it there are no strays.
  const mayHaveStrays =
    !complete && (monitor === undefined || (await host.status(monitor.folder)) !== undefined);
  const hadStrays = mayHaveStrays && (await killStrays(host, step));
  const members = await listProcesses(host, [...container, ...monitors]);
  const isThere = record !== undefined || hadStrays || members.length > 0;
  if (isThere) {
    // First of all: when this runspec is killed among the others, what is left does not count as up.
    if (record !== undefined && (await isAlive(host, record.init)))
      await host.kill(record.init.pid, 'SIGKILL');
    if (!complete) await killProcesses(host, monitors, KILL_MS);
    await killProcesses(host, container, KILL_MS);
    // Somebody may have moved the init out of its cgroup.
    if (record !== undefined) await killInit(host, record.init);
    await waitUntil(host, MONITOR_MS, async () => (await listProcesses(host, monitors)).length === 0);
    await killProcesses(host, monitors, KILL_MS);
    await killProcesses(host, container, KILL_MS);
  }
  const wasKnown = await forgetProcess(host, step);
  if (monitor !== undefined) await removeMonitorCgroup(host, monitor);
  return isThere || wasKnown;
}

async function killInit(host: Host, init: ProcessIdentity): Promise<void> {
  if (!(await isAlive(host, init))) return;
  await host.kill(init.pid, 'SIGKILL');
  await waitUntil(host, KILL_MS, async () => !(await isAlive(host, init)));
}

/** Removes what runtime and conmon keep on disk; the log stays for those who ask why it ended. */
async function forgetProcess(host: Host, step: ProcessStep): Promise<boolean> {
  const state = `${step.runtimeRoot}/${step.container}`;
  const known = (await host.status(state)) !== undefined;
  // The runtime's `delete` removes the cgroup with its limits, takes 100 ms, and leaves some behind anyway (runc killed
  // early). With every process gone, runc's and crun's state is this folder; others may keep more elsewhere.
  if (known && !['runc', 'crun'].includes(step.runtime.name)) {
    await host.run([step.runtime.path, '--root', step.runtimeRoot, 'delete', '--force', step.container]);
  }
  await host.removeTree(state);
  const files = [RECORD_FILES.process, RECORD_FILES.exit, RECORD_FILES.oom].map(
    (name) => `${step.records}/${name}`,
  );
  const ofMonitor = ['attach', 'ctl', 'winsz', 'container.pid', 'monitor.pid', 'oom', 'runtime.log'].map(
    (name) => `${step.bundle}/${name}`,
  );
  for (const file of [...files, ...ofMonitor]) await unlessReadOnly(() => removeEntry(host, file));
  return known;
}

/** Removes a file, or the folder that has come to be in its place and must not keep the container up. */
async function removeEntry(host: Host, path: string): Promise<void> {
  if ((await host.status(path))?.type === 'directory') await host.removeTree(path);
  else await host.removeFile(path);
}

/** Does work, but ignores a read-only disk, which must not keep the container up: removing the folder reports it. */
async function unlessReadOnly(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
  }
}

/**
 * Kills a conmon or runtime for this bundle that is in none of our cgroups yet, because runspec was killed between
 * starting and moving it. The bundle's path among the arguments tells such a process.
 * @returns whether there was any.
 */
async function killStrays(host: Host, step: ProcessStep): Promise<boolean> {
  let found = false;
  const names = new Set([
    'conmon',
    step.runtime.name,
    step.runtime.path.slice(step.runtime.path.lastIndexOf('/') + 1),
  ]);
  for (const entry of await listPids(host)) {
    const argv = ((await readProcFile(host, `/proc/${entry}/cmdline`)) ?? '').split('\0');
    const program = argv[0]?.slice(argv[0].lastIndexOf('/') + 1) ?? '';
    if (!names.has(program) || !argv.includes(step.bundle)) continue;
    await host.kill(Number(entry), 'SIGKILL');
    found = true;
  }
  return found;
}

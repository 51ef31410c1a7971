// The container's process: created and started by an OCI runtime under conmon, ended by signal, then by cgroup.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { readMounts } from '../host/kernel-view.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { describeEnd, readContainerState } from '../runtime/container-state.ts';
import { launchProcess, monitorCommand, monitorPidFile } from '../runtime/launch.ts';
import { findMissingMounts, type MissingMount } from '../runtime/missing-mounts.ts';
import { launchOf, readProcessFile } from '../runtime/process-file.ts';
import { stopProcess } from '../runtime/stop.ts';
import { nameEnded } from '../runtime/unjoinable.ts';
import type { Difference, Op } from './op.ts';
import { quote, quoteAll } from './shell.ts';

export const process: Op<'process'> = {
  // A kill between create and start leaves an init that nobody has started, and its root is in use.
  halvesUnseen: true,

  describe: (step) => `process of ${step.container} under ${step.runtime.name} and conmon`,

  async probe({ host }, step) {
    const state = await readContainerState(host, step.records);
    // A process that has ended counts as absent: apply starts it again.
    if (state.status === 'exited' && state.exitStatus !== undefined)
      return { state: 'absent', why: `it has ${describeEnd(state)}` };
    if (state.status === 'ending') {
      const differences = [{ property: 'state', wanted: 'running', found: 'killed' }];
      return { state: 'drifted', differences, inPlace: false };
    }
    if (state.status !== 'running') return { state: 'absent' };
    const record = await readProcessFile(host, step.records);
    const differences = record === undefined ? [] : compareLaunch(launchOf(step), record.launch);
    if (!state.monitored) differences.push({ property: 'monitor', wanted: 'conmon', found: 'gone' });
    // From outside nothing can be mounted into a container: a new process gets what this one has lost.
    differences.push(...(await findMissingMounts(host, step.bundle, state.pid)).map(describeMissing));
    if (differences.length > 0) return { state: 'drifted', differences, inPlace: false };
    return { state: 'present' };
  },

  async apply(context, step) {
    const { host, view, dataDir, signal, reached } = context;
    const mounts = await view.mounts();
    // Ended by itself, or half-started before a crash: runtimes refuse a name they still know.
    await stopProcess(host, step, mounts);
    try {
      await launchProcess(host, step, { mounts, dataDir, signal, reached });
    } catch (error) {
      const named = await nameFullDisk(host, step, error);
      try {
        // Half a start of a container that is kept: nobody else would end it.
        await stopProcess(host, step, mounts);
      } catch (second) {
        if (!(named instanceof OperationError) || !(second instanceof Error)) throw second;
        throw named.with({ cleanup: [...named.cleanup, second] });
      }
      throw await nameEnded(context, step.bundle, named);
    }
  },

  // The way to stop the process is all that changes in place, and the new record is enough for it. Everything else is
  // part of the launch, which probe compares.
  async update() {},

  async revert({ host, signal, onSignal, progress }, step) {
    const waiting = { signals: { signal, onSignal }, tell: progress };
    const wasThere = await stopProcess(host, step, await readMounts(host), waiting);
    return { outcome: wasThere ? 'removed' : 'gone' };
  },

  toShell: (step) => [
    // TMPDIR: conmon makes its socket for a terminal there.
    `(cd ${quote(step.bundle)} && LC_ALL=C.UTF-8 TMPDIR=${quote(step.runtimeRoot)} ${quoteAll(monitorCommand(step))})`,
    `until [ -s ${quote(`${step.bundle}/container.pid`)} ]; do kill -0 "$(cat ${quote(monitorPidFile(step))})"; sleep 0.01; done`,
    quoteAll([step.runtime.path, '--root', step.runtimeRoot, 'start', step.container]),
  ],
};

function describeMissing({ destination, source, fault }: MissingMount): Difference {
  const property = `mount ${destination}`;
  const former = `what ${source} was when the process started`;
  switch (fault) {
    case 'unmounted':
      return { property, wanted: 'mounted', found: 'not mounted in the container' };
    case 'writable':
      return { property, wanted: 'read-only', found: 'writable' };
    case 'deleted': {
      const found = 'deleted or replaced on the host, and the container still has the former one';
      return { property, wanted: 'mounted', found };
    }
    case 'replaced':
      return { property, wanted: 'what it is now', found: former };
    case 'gone':
      return { property, wanted: 'what it is now, nothing', found: former };
  }
}

function compareLaunch(wanted: object, found: object): Difference[] {
  const former = new Map(Object.entries(found).map(([property, value]) => [property, JSON.stringify(value)]));
  return Object.entries(wanted).flatMap(([property, value]) => {
    const text = JSON.stringify(value);
    return former.get(property) === text
      ? []
      : [{ property, wanted: text, found: former.get(property) ?? 'missing' }];
  });
}

/** Bytes that a runtime needs at least for the state of a container. */
const STATE_BYTES = 65_536;

/** Adds a hint about a full disk: a runtime that finds no room for its state says so in its own words, if at all. */
async function nameFullDisk(host: Host, step: ProcessStep, error: unknown): Promise<unknown> {
  if (!(error instanceof OperationError) || error.hint !== undefined) return error;
  for (const folder of [step.runtimeRoot, step.bundle]) {
    if ((await host.status(folder)) === undefined || (await host.freeBytes(folder)) >= STATE_BYTES) continue;
    return error.with({ hint: `the disk of ${folder} is full; free some space and try again` });
  }
  return error;
}

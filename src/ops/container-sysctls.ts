// Sysctls of a container's namespaces. The runtime has set them before the program began; this step sees that they stay.
import type { Host } from '../host/host.ts';
import type { ContainerSysctlsStep } from '../plan/process-steps.ts';
import { readContainerState } from '../runtime/container-state.ts';
import { readSysctls, showsSysctl, type SysctlValues, writeSysctl } from '../runtime/namespace-sysctls.ts';
import type { ProcessIdentity } from '../runtime/proc.ts';
import type { Op } from './op.ts';

/**
 * What the kernel showed of them once they were set: it writes some in other words (the ports 8080,8081 as 8080-8081),
 * and what was asked for would look like drift for ever.
 */
interface Shown extends ProcessIdentity {
  readonly values: SysctlValues;
}

export const containerSysctls: Op<'container-sysctls'> = {
  describe: ({ sysctls }) =>
    `sysctls ${Object.entries(sysctls)
      .map(([name, value]) => `${name}=${value}`)
      .join(', ')} in the container's namespaces`,

  async probe({ host }, step) {
    const state = await readContainerState(host, step.records);
    if (state.status !== 'running') return { state: 'absent' };
    const shown = await readShown(host, step, state);
    const found = await readSysctls(host, state.pid, Object.keys(step.sysctls));
    if (found === undefined) return { state: 'absent' };
    const differences = Object.entries(step.sysctls).flatMap(([name, value]) => {
      const now = found[name];
      const isSame = shown === undefined ? now === undefined || showsSysctl(value, now) : now === shown[name];
      return isSame ? [] : [{ property: name, wanted: value, found: now ?? 'missing' }];
    });
    return differences.length === 0
      ? { state: 'present', owned: true }
      : { state: 'drifted', differences, inPlace: true };
  },

  async apply({ host }, step) {
    const state = await readContainerState(host, step.records);
    // A short-lived one may have ended by now, and its namespaces with it.
    if (state.status !== 'running') return;
    const { pid, startTime } = state;
    const names = Object.keys(step.sysctls);
    const found = await readSysctls(host, pid, names);
    if (found === undefined) return;
    const missed = names.filter((name) => !showsSysctl(step.sysctls[name] ?? '', found[name] ?? ''));
    for (const name of missed)
      if (found[name] !== undefined) await writeSysctl(host, pid, name, step.sysctls[name] ?? '');
    const values = missed.length === 0 ? found : await readSysctls(host, pid, names);
    if (values === undefined) return;
    const shown: Shown = { pid, startTime, values };
    await host.writeAtomic(step.path, `${JSON.stringify(shown)}\n`, { mode: 0o600, sync: false });
  },

  async update(context, step, _former, before) {
    await containerSysctls.apply(context, step, before);
  },

  async revert({ host }, step) {
    return { outcome: (await host.removeFile(step.path)) ? 'removed' : 'gone' };
  },

  toShell: ({ sysctls }) =>
    Object.entries(sysctls).map(([name, value]) => `# the runtime has set ${name} = ${value}`),
};

/** Undefined when it is not known of this process: in the foreground, or when a kill came before it was written. */
async function readShown(
  host: Host,
  step: ContainerSysctlsStep,
  { pid, startTime }: ProcessIdentity,
): Promise<SysctlValues | undefined> {
  const text = await host.readText(step.path);
  if (text === undefined) return undefined;
  try {
    const shown = JSON.parse(text) as Shown;
    return shown.pid === pid && shown.startTime === startTime ? shown.values : undefined;
  } catch {
    // Damaged, and as good as not there.
    return undefined;
  }
}

// Sysctls of a container's namespaces. The runtime has set them before the program began; this step keeps them set.
import { readContainerState } from '../runtime/container-state.ts';
import { readShown, readSysctls, settleSysctls, showsSysctl } from '../runtime/namespace-sysctls.ts';
import type { Op } from './op.ts';
import { comment } from './shell.ts';

export const containerSysctls: Op<'container-sysctls'> = {
  describe: ({ sysctls }) =>
    `sysctls ${Object.entries(sysctls)
      .map(([name, value]) => `${name}=${value}`)
      .join(', ')} in the container's namespaces`,

  async probe({ host }, step) {
    const state = await readContainerState(host, step.records);
    if (state.status !== 'running') return { state: 'absent' };
    const found = await readSysctls(host, state, Object.keys(step.sysctls));
    if (found === undefined) return { state: 'absent' };
    const shown = await readShown(host, step.path, state);
    const differences = Object.entries(step.sysctls).flatMap(([name, value]) => {
      const [before, now] = [shown?.[name], found[name]];
      const isSame = before === undefined ? now === undefined || showsSysctl(value, now) : now === before;
      return isSame ? [] : [{ property: name, wanted: value, found: now ?? 'missing' }];
    });
    return differences.length === 0 ? { state: 'present' } : { state: 'drifted', differences, inPlace: true };
  },

  async apply({ host }, step) {
    const state = await readContainerState(host, step.records);
    // A short-lived process may have ended by now, and its namespaces with it.
    if (state.status === 'running') await settleSysctls(host, step.path, state, step.sysctls);
  },

  async update(context, step, _former, before) {
    await containerSysctls.apply(context, step, before);
  },

  async revert({ host }, step) {
    return { outcome: (await host.removeFile(step.path)) ? 'removed' : 'gone' };
  },

  toShell: ({ sysctls }) =>
    Object.entries(sysctls).map(([name, value]) => comment(`the runtime has set ${name} = ${value}`)),
};

// Fetches what specs name, and then converges the host to them under the lock, unless it is as they say already. The
// code that converges is loaded while the lock is taken.
import { loadCrypto } from '../crypto.ts';
import { namesRemote } from '../image/remote-sources.ts';
import { netnsFile, netnsOf } from '../names.ts';
import type { Plan } from '../plan/plan.ts';
import { lockGeneration, withLock } from '../run/lock.ts';
import type { CommandContext } from './context.ts';
import type { ApplyOptions } from './carry-out.ts';
import type { LoadedSpecs } from './load-specs.ts';
import { forget, viewOf, type ReadAhead } from './read-ahead.ts';

/** @returns the plans as applied, in the order of the specs. */
export async function convergeLocked(
  context: CommandContext,
  loaded: LoadedSpecs,
  options: ApplyOptions,
  ahead?: ReadAhead,
): Promise<readonly Plan[]> {
  const fetching = { local: options.locked === true };
  const remote = loaded.specs.filter(({ spec }) => namesRemote(spec, fetching));
  if (remote.length > 0) await (await import('./fetch.ts')).fetchAll(context, remote, fetching);
  const dated = await viewOf(context, ahead);
  const { view, generation } = dated;
  // A proof needs more than the finding that nothing is to be done, and a run needs what is not there yet.
  if (loaded.isRecalled && options.prove !== true && options.whenBegun === undefined) {
    const settled = await (await import('./settled.ts')).findSettled(context, loaded, dated);
    if (settled !== undefined) return settled;
  }
  const netns = loaded.specs.map(({ spec }) => netnsOf(spec.name));
  const sockets = await hasFreshPorts(context, loaded);
  // Another runspec may have been at work since the view was found to be true.
  if (generation !== (await lockGeneration(context.host, context.dataDir))) await forget(context.host, view);
  return withLock(
    context.host,
    context.dataDir,
    context.lockTimeout,
    async (isStillTrue) => {
      if (!isStillTrue) await forget(context.host, view);
      return (await import('./converge.ts')).converge(context, loaded, options, view);
    },
    () => {
      view.warmUp({ sockets, foreignRules: false, netns });
      void import('./converge.ts').then(loadCrypto);
    },
  );
}

/**
 * Whether ports may be unpublished yet, as their container has no namespace: only then it matters who listens on them.
 */
async function hasFreshPorts({ host }: CommandContext, { specs }: LoadedSpecs): Promise<boolean> {
  for (const { spec } of specs) {
    const netns = netnsFile(netnsOf(spec.name));
    if (spec.network.ports.length > 0 && (await host.status(netns)) === undefined) return true;
  }
  return false;
}

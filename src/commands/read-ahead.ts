// Asks the kernel before the spec is read, and before the code that reads it is loaded: the answers take longer.
import type { Host } from '../host/host.ts';
import { createKernelView, type KernelView } from '../host/kernel-view.ts';
import { lockGeneration } from '../run/lock.ts';
import type { CommandContext } from './context.ts';

/** A view of the kernel, true as long as no other runspec has been at work since. */
export interface ReadAhead {
  readonly view: KernelView;
  readonly generation: string;
  /** When the kernel was asked, by Host.monotonic. */
  readonly at: number;
}

/** Age at which a view is read anew: a user who has typed a spec on standard input wants to know what is there now. */
const STALE_MS = 1000;

export async function readAhead({ host, dataDir }: CommandContext): Promise<ReadAhead | undefined> {
  const generation = await lockGeneration(host, dataDir);
  if (generation === undefined) return undefined;
  const view = createKernelView(host);
  view.warmUp({ sockets: false, foreignRules: false });
  return { view, generation, at: host.monotonic() };
}

/** A view that is true as long as the lock has that generation, which is undefined while somebody holds the lock. */
export interface DatedView {
  readonly view: KernelView;
  readonly generation: string | undefined;
}

export async function viewOf(
  { host, dataDir }: CommandContext,
  ahead: ReadAhead | undefined,
): Promise<DatedView> {
  const generation = await lockGeneration(host, dataDir);
  if (ahead === undefined) return { view: createKernelView(host), generation };
  const isTrue = host.monotonic() - ahead.at < STALE_MS && ahead.generation === generation;
  if (!isTrue) await forget(host, ahead.view);
  return { view: ahead.view, generation };
}

/**
 * Drops the view and the running ip, after another runspec was at work: that ip would still take a new link for the
 * former one of the same name.
 */
export async function forget(host: Host, view: KernelView): Promise<void> {
  view.forget();
  await host.close();
}

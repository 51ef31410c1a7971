// The kernel is asked before the spec is read, and before what reads it is loaded: the programs that tell take longer.
import type { Host } from '../host/host.ts';
import { createKernelView, type KernelView } from '../host/kernel-view.ts';
import { lockGeneration } from '../run/lock.ts';
import type { CommandContext } from './context.ts';

/** The kernel as it was asked then; true as long as nobody else has been at work. */
export interface ReadAhead {
  readonly view: KernelView;
  readonly generation: string;
  /** By Host.monotonic. */
  readonly at: number;
}

/** Whoever has typed a spec on standard input meanwhile wants to know what is there now. */
const STALE_MS = 1000;

export async function readAhead({ host, dataDir }: CommandContext): Promise<ReadAhead | undefined> {
  const generation = await lockGeneration(host, dataDir);
  if (generation === undefined) return undefined;
  const view = createKernelView(host);
  view.warmUp({ sockets: false, foreignRules: false });
  return { view, generation, at: host.monotonic() };
}

/** A view that is true as long as the lock has that generation; without one while somebody holds the lock. */
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

/** After somebody else was at work: an ip that was asked before takes a new link for the one of that name that is gone. */
export async function forget(host: Host, view: KernelView): Promise<void> {
  view.forget();
  await host.close();
}

// The kernel is asked before the spec is read, and before what reads it is loaded: the programs that tell take longer.
import { createKernelView, type KernelView } from '../host/kernel-view.ts';
import { lockGeneration } from '../run/lock.ts';
import type { CommandContext } from './context.ts';

/** The kernel as it was asked then; true as long as nobody else has been at work. */
export interface ReadAhead {
  readonly view: KernelView;
  readonly generation: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Whoever has typed a spec on standard input meanwhile wants to know what is there now. */
const STALE_MS = 1000;

export async function readAhead({ host, dataDir }: CommandContext): Promise<ReadAhead | undefined> {
  const generation = await lockGeneration(host, dataDir);
  if (generation === undefined) return undefined;
  const view = createKernelView(host);
  view.warmUp({ sockets: false, foreignRules: false });
  return { view, generation, at: host.now() };
}

export async function viewOf(
  { host, dataDir }: CommandContext,
  ahead: ReadAhead | undefined,
): Promise<KernelView> {
  const isTrue =
    ahead !== undefined &&
    host.now() - ahead.at < STALE_MS &&
    ahead.generation === (await lockGeneration(host, dataDir));
  return isTrue ? ahead.view : createKernelView(host);
}

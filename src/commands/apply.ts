// apply: converge the host to the specs.
import { UsageError } from '../errors.ts';
import { createKernelView, NETNS_FOLDER, type KernelView } from '../host/kernel-view.ts';
import { fetchSources } from '../image/fetch-sources.ts';
import { netnsOf } from '../plan/network.ts';
import type { Plan } from '../plan/plan.ts';
import { lockGeneration, withLock } from '../run/lock.ts';
import { EXIT, type CommandContext } from './context.ts';
import { withLayerDisplay } from './layer-display.ts';
import { loadSpecs, type LoadedSpecs } from './load-specs.ts';
import { createReporter } from './reporter.ts';
import { converge, type ApplyOptions } from './converge.ts';

export async function apply(
  context: CommandContext,
  args: readonly string[],
  options: ApplyOptions,
): Promise<number> {
  const ahead = context.isRoot ? await readAhead(context) : undefined;
  const loaded = await loadSpecs(context, args);
  requireRoot(context);
  const pinned =
    options.locked === true ? await (await import('./lock.ts')).applyLocks(context, loaded) : loaded;
  await convergeLocked(context, pinned, options, ahead);
  return EXIT.done;
}

/** The kernel as it is asked while the spec is read; true as long as nobody else has been at work. */
interface ReadAhead {
  readonly view: KernelView;
  readonly generation: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Whoever has typed a spec on standard input meanwhile wants to know what is there now. */
const STALE_MS = 1000;

async function readAhead({ host, dataDir }: CommandContext): Promise<ReadAhead | undefined> {
  const generation = await lockGeneration(host, dataDir);
  if (generation === undefined) return undefined;
  const view = createKernelView(host);
  view.warmUp({ sockets: false, foreignRules: false });
  return { view, generation, at: host.now() };
}

async function viewOf({ host, dataDir }: CommandContext, ahead: ReadAhead | undefined): Promise<KernelView> {
  const isTrue =
    ahead !== undefined &&
    host.now() - ahead.at < STALE_MS &&
    ahead.generation === (await lockGeneration(host, dataDir));
  return isTrue ? ahead.view : createKernelView(host);
}

/** @returns the plans as applied, in the order of the specs. */
export async function convergeLocked(
  context: CommandContext,
  loaded: LoadedSpecs,
  options: ApplyOptions,
  ahead?: ReadAhead,
): Promise<readonly Plan[]> {
  const report = createReporter(context);
  await withLayerDisplay(context, async ({ stderr, follow }) => {
    const fetching = createReporter({ ...context, stderr });
    const local = options.locked === true;
    for (const { spec } of loaded.specs) {
      const told = follow((text) => fetching.progress(spec.name, 'fetch', text));
      await fetchSources({ ...context, ...told }, spec, { local });
    }
  });
  const view = await viewOf(context, ahead);
  const netns = loaded.specs.map(({ spec }) => netnsOf(spec.name));
  const sockets = await hasFreshPorts(context, loaded);
  return withLock(
    context.host,
    context.dataDir,
    context.lockTimeout,
    (isStillTrue) => {
      if (!isStillTrue) view.forget();
      return converge(context, loaded, report, options, view);
    },
    // The kernel is asked while the lock is taken: the answers take longer than the asking.
    () => view.warmUp({ sockets, foreignRules: false, netns }),
  );
}

/** Only of ports that are not published yet it matters who listens on them. */
async function hasFreshPorts({ host }: CommandContext, { specs }: LoadedSpecs): Promise<boolean> {
  for (const { spec } of specs) {
    const netns = `${NETNS_FOLDER}/${netnsOf(spec.name)}`;
    if (spec.network.ports.length > 0 && (await host.status(netns)) === undefined) return true;
  }
  return false;
}

export function requireRoot(context: CommandContext): void {
  if (!context.isRoot)
    throw new UsageError(
      'this needs root',
      'run it with sudo; validate, plan, doctor and schema do not need it',
    );
}

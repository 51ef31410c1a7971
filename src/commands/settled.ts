// findSettled: the short way of a second apply, whose specs are those that were applied and whose host is as they say.
// No lock is taken, so that the check waits for nobody and writes nothing; if another runspec takes the lock meanwhile,
// the finding is void.
import type { KernelView } from '../host/kernel-view.ts';
import { hasFreshHashes } from '../image/hash-cache.ts';
import { compileAll } from '../plan/compile.ts';
import { netnsOf } from '../names.ts';
import type { Plan } from '../plan/plan.ts';
import { gatherFacts } from '../run/gather-facts.ts';
import { hearPrograms } from '../run/hear-programs.ts';
import { lockGeneration } from '../run/lock.ts';
import { openSession } from '../run/session.ts';
import { isSettled, isTidy } from '../run/settled.ts';
import type { CommandContext } from './context.ts';
import { showPlaced, type LoadedSpecs } from './load-specs.ts';
import { findOrphans, tellOrphans, type Orphan } from './orphans.ts';
import { prepareAll, type Work } from './prepare.ts';
import type { DatedView } from './read-ahead.ts';
import { tellApplied } from './tell-applied.ts';

interface Finding {
  readonly works: readonly Work[];
  readonly orphans: readonly Orphan[];
  readonly warn: () => Promise<unknown>;
}

/**
 * @returns the plans, once everything that an apply tells was told; undefined when there is, or may be, anything to do.
 */
export async function findSettled(
  context: CommandContext,
  loaded: LoadedSpecs,
  { view, generation }: DatedView,
): Promise<readonly Plan[] | undefined> {
  const { host, dataDir } = context;
  if (generation === undefined) return undefined;
  // A failure here comes again under the lock, and is told there.
  const finding = await look(context, loaded, view).catch(() => undefined);
  if (finding === undefined || generation !== (await lockGeneration(host, dataDir))) return undefined;
  // No question to the host is left: its helper programs may end while the rest is done.
  void host.close();
  await finding.warn();
  // Nothing was carried out.
  for (const work of finding.works) await tellApplied(context, work, 0, 0);
  tellOrphans(context, finding.orphans);
  return finding.works.map(({ plan }) => plan);
}

async function look(
  context: CommandContext,
  loaded: LoadedSpecs,
  view: KernelView,
): Promise<Finding | undefined> {
  const specs = loaded.specs.map(({ spec }) => spec);
  const names = specs.map(({ name }) => name);
  view.warmUp({ sockets: false, foreignRules: false, netns: names.map(netnsOf) });
  const session = await openSession(context, view);
  if (!(await isTidy(session, names))) return undefined;
  const facts = await gatherFacts(session, specs, { foreignRules: false, mayWrite: false });
  // New hashes of archives can be stored under the lock only, so that the next apply need not read the archives.
  if (hasFreshHashes(context.archives)) return undefined;
  const compiled = compileAll(specs, facts);
  if (compiled.some(({ plan }) => plan === undefined)) return undefined;
  await hearPrograms();
  const works = await prepareAll(context, session, loaded, compiled, facts);
  for (const work of works) if (!(await isSettled(session, work))) return undefined;
  const found = compiled.map(({ diagnostics }) => diagnostics);
  return {
    works,
    orphans: await findOrphans(context, facts, loaded),
    warn: () => showPlaced(context, loaded, found),
  };
}

// Work of apply under the lock: compares the host with the specs, and makes it as they say.
import { UsageError, type Diagnostic } from '../errors.ts';
import type { KernelView } from '../host/kernel-view.ts';
import type { Spec } from '../load/spec.ts';
import { findFirewallProblems } from '../plan/check-firewall.ts';
import { compileAll } from '../plan/compile.ts';
import type { ForeignRules, HostFacts } from '../plan/facts.ts';
import { netnsOf } from '../names.ts';
import type { Plan } from '../plan/plan.ts';
import { hasEffect } from '../run/changes.ts';
import { forgetForeground, isForeground } from '../run/foreground.ts';
import { gatherFacts, gatherForeignRules } from '../run/gather-facts.ts';
import { hearPrograms } from '../run/hear-programs.ts';
import type { Reporter } from '../run/report.ts';
import { openSession, type Session } from '../run/session.ts';
import { removeAllStaleWork } from '../run/stale-work.ts';
import { carryOutAll, type ApplyOptions } from './carry-out.ts';
import type { CommandContext } from './context.ts';
import { joinFailures } from './join-failures.ts';
import { findOrphans, tellOrphans } from './orphans.ts';
import { checkCompiled, showPlaced, type LoadedSpecs } from './load-specs.ts';
import { alreadyUp } from './already-up.ts';
import { prepareAll, type Work } from './prepare.ts';
import { createReporter } from './reporter.ts';
import { tellSideEffects } from './side-effects.ts';
import { mendShared, removeLost, setAsideUnreadable } from './take-down.ts';

export async function converge(
  context: CommandContext,
  loaded: LoadedSpecs,
  options: ApplyOptions,
  view: KernelView,
): Promise<readonly Plan[]> {
  const report = createReporter(context);
  await removeAllStaleWork(context.host, context.dataDir);
  const session = await openSession(context, view);
  await mendShared(session, report);
  const specs = loaded.specs.map((one) => one.spec);
  const netns = specs.map(({ name }) => netnsOf(name));
  view.warmUp({ sockets: false, foreignRules: false, netns });
  // Remains of a container whose record is lost are in its successor's way; facts that include them are gathered anew.
  const gather = (): Promise<HostFacts> =>
    gatherFacts(session, specs, { foreignRules: false, mayWrite: true });
  const [early, wasCleared] = await Promise.all([gather(), clearRemains(session, specs, report)]);
  const facts = wasCleared ? await gather() : early;
  const compiled = compileAll(specs, facts);
  const warn = once(async () => {
    const rules = await gatherForeignRules(session, specs);
    const found = compiled.map(({ plan }, index) => warningsOf(specs[index], plan, facts, rules));
    await showPlaced(context, loaded, found);
  });
  await checkCompiled(context, loaded, compiled);
  await hearPrograms();
  const works = await prepareAll(context, session, loaded, compiled, facts);
  // Nothing is left to ask: its programs may end while the rest is done.
  const isUpToDate = !works.some(({ changes }) => hasEffect(changes));
  if (isUpToDate) void context.host.close();
  for (const { plan } of works) {
    for (const step of plan.steps)
      if (step.shared === true) session.shared.hold(step.id, plan.name, plan.lease);
  }
  tellSideEffects(
    context,
    facts,
    works.map(({ plan, changes, specFile }) => ({ name: plan.name, changes, specFile })),
  );
  await settleForegrounds(context, works, options);
  if (options.prove === true) await refuseUnproven(session, works);
  try {
    if (options.prove === true) await keepProof(session, works);
    await carryOutAll(context, session, loaded, works, report, { ...options, warn });
  } catch (error) {
    if (options.prove === true) await dropProof(session, works);
    throw error;
  }
  // No warning when nothing was done: plan and doctor tell of foreign rules that were loaded since.
  if (!isUpToDate) await warn();
  tellOrphans(context, await findOrphans(context, facts, loaded));
  return works.map((work) => work.plan);
}

/**
 * Refuses a container that a `run` holds, and takes over one whose `run` was killed from the watcher that would take it
 * down.
 *
 * @throws UsageError
 */
async function settleForegrounds(
  { host, dataDir }: CommandContext,
  works: readonly Work[],
  { whenBegun }: ApplyOptions,
): Promise<void> {
  if (whenBegun !== undefined) {
    const known = works.find(({ record }) => record !== undefined);
    if (known !== undefined) throw alreadyUp(known.plan.name);
    whenBegun(works.flatMap(({ changes }) => changes));
    return;
  }
  for (const { plan, changes } of works) {
    if (!hasEffect(changes)) continue;
    if (await isForeground(host, dataDir, plan.name))
      throw new UsageError(
        `${plan.name} is in the foreground of another runspec`,
        `end that first, or: runspec down ${plan.name}`,
      );
    await forgetForeground(host, dataDir, plan.name);
  }
}

/** Does the work at most once. A caller that awaits it gets its failure, unless something else fails first. */
function once(work: () => Promise<void>): () => Promise<void> {
  let begun: Promise<void> | undefined;
  return () => {
    begun ??= work();
    // A failure that nobody awaits yet must not count as unhandled.
    begun.catch(() => undefined);
    return begun;
  };
}

/** Foreign rules only give warnings, so they are read while the runtime is busy, and nothing waits for them. */
function warningsOf(
  spec: Spec | undefined,
  plan: Plan | undefined,
  facts: HostFacts,
  rules: ForeignRules,
): readonly Diagnostic[] {
  if (spec === undefined || plan?.lease === undefined) return [];
  return findFirewallProblems(spec, plan.lease, facts, rules);
}

/** @returns whether anything had to be removed. */
async function clearRemains(session: Session, specs: readonly Spec[], report: Reporter): Promise<boolean> {
  const cleared = await Promise.all(
    specs.map(async ({ name }) => {
      const isDamaged = await setAsideUnreadable(session, name, report);
      if (!isDamaged && (await session.records.read(name)) !== undefined) return false;
      const failures: Error[] = [];
      const isThere = await removeLost(session, name, report, failures);
      const [failure, ...others] = failures;
      if (failure !== undefined)
        throw joinFailures([failure, ...others], `what is left of ${name} cannot be removed`);
      return isThere;
    }),
  );
  if (!cleared.includes(true)) return false;
  session.view.forget();
  return true;
}

/** @throws UsageError when a container is up without a snapshot for `down --prove`. */
async function refuseUnproven(session: Session, works: readonly Work[]): Promise<void> {
  const { readSnapshot } = await import('../run/proof.ts');
  for (const { plan, record } of works) {
    if (record === undefined || (await readSnapshot(session, plan.name)) !== undefined) continue;
    throw new UsageError(
      `${plan.name} is up already: what was before it cannot be proven`,
      `take it down first, or apply it without --prove`,
    );
  }
}

/** Keeps a snapshot of the host with each container that is not up. */
async function keepProof(session: Session, works: readonly Work[]): Promise<void> {
  const { keepSnapshot } = await import('../run/proof.ts');
  const fresh = namesOfFresh(works);
  if (fresh.length > 0) await keepSnapshot(session, fresh);
}

/** Removes the snapshots of containers that were not begun, or are undone: nothing else is to tell of them. */
async function dropProof(session: Session, works: readonly Work[]): Promise<void> {
  const { dropSnapshot } = await import('../run/proof.ts');
  for (const name of namesOfFresh(works)) {
    const { record, faults } = await session.records.look(name);
    // One that stays is replaced by the next apply, and removed by a down. What led here is the failure to tell.
    if (record === undefined && faults.length === 0) await dropSnapshot(session, name).catch(() => undefined);
  }
}

function namesOfFresh(works: readonly Work[]): readonly string[] {
  return works.flatMap(({ plan, record }) => (record === undefined ? [plan.name] : []));
}

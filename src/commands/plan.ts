// plan: what apply would do, down to kernel objects. Changes nothing and needs no lock.
import { posix } from 'node:path';
import { UsageError } from '../errors.ts';
import { printable } from '../load/render-diagnostic.ts';
import { opOf } from '../ops/index.ts';
import { comment } from '../ops/shell.ts';
import { unprivileged } from '../host/unprivileged.ts';
import { STDIN } from '../load/read-sources.ts';
import { afterJoined, compileAll } from '../plan/compile.ts';
import type { Plan, Step } from '../plan/plan.ts';
import type { HostFacts } from '../plan/facts.ts';
import { computeAllChanges, hasEffect, type Change, type Planned } from '../run/changes.ts';
import { findKept } from '../run/find-kept.ts';
import { findRepeated } from '../run/find-repeated.ts';
import { gatherFacts } from '../run/gather-facts.ts';
import { opContext, openSession, type Session } from '../run/session.ts';
import { EXIT, type CommandContext } from './context.ts';
import { checkCompiled, loadSpecs } from './load-specs.ts';
import { formerSteps } from './prepare.ts';
import { findOrphans, tellOrphans } from './orphans.ts';
import { paint } from './paint.ts';
import { describe, MARKS } from './reporter.ts';
import { tellSideEffects } from './side-effects.ts';
import { findLost } from './take-down.ts';

export async function plan(
  context: CommandContext,
  args: readonly string[],
  options: { readonly exitCode: boolean; readonly script: boolean },
): Promise<number> {
  if (options.script && context.json)
    throw new UsageError('--script and --json are given', 'choose one of them');
  const readable = context.isRoot ? {} : unprivileged(context.host, context.archives);
  if (!context.isRoot)
    context.stderr('without root, what is up already cannot be seen: this is the plan for an empty host');
  const session = await openSession({ ...context, ...readable });
  // The kernel is asked while the spec is read: waiting for the answers takes longer than asking.
  session.view.warmUp({ sockets: true, foreignRules: true });
  const loaded = await loadSpecs(context, args, { recall: context.isRoot });
  const specs = loaded.specs.map((one) => one.spec);
  const facts = await gatherFacts(session, specs, { foreignRules: true, mayWrite: false });
  const compiled = compileAll(specs, facts);
  await checkCompiled(context, loaded, compiled);
  // Containers in the order in which they are applied.
  const names = afterJoined(specs).map(({ name }) => name);
  const plans = compiled
    .flatMap((one) => (one.plan === undefined ? [] : [one.plan]))
    .toSorted((one, other) => names.indexOf(one.name) - names.indexOf(other.name));
  const known = context.isRoot ? await Promise.all(plans.map((one) => findFormer(session, facts, one))) : [];
  const changes = context.isRoot ? await computeAllChanges(known) : plans.map(createAll);
  for (const { plan: one, remains } of known)
    if (remains.length > 0)
      context.stderr(
        `${one.name}: objects of that name are on the host, and no record tells of them: apply removes them first`,
      );
  tellOrphans(context, await findOrphans(context, facts, loaded));
  const called = plans.map(({ name }, index) => {
    const file = loaded.specs.find(({ spec }) => spec.name === name)?.file ?? '';
    const specFile = file === STDIN ? file : posix.resolve(context.workingDirectory, file);
    return { name, changes: changes[index] ?? [], specFile };
  });
  tellSideEffects(context, facts, called);
  const lent = Object.values(facts.containers).flatMap((one) => one.lent ?? []);
  const spared = findSpared(changes, await findKept(session, plans, changes, lent));
  // Nothing is left to ask: its programs may end while the plan is written.
  void session.host.close();
  if (options.script) context.stdout(renderScript(plans));
  else if (context.json) context.stdout(`${JSON.stringify(toJson(plans, changes, spared), undefined, 2)}\n`);
  else plans.forEach((one, index) => context.stdout(renderPlan(context, one, changes[index] ?? [], spared)));
  return options.exitCode && changes.some(hasEffect) ? EXIT.changes : EXIT.done;
}

/** Changes for an empty host: without root too little of this one can be seen to compare. */
function createAll({ name, steps }: Plan): readonly Change[] {
  return steps.map((step) => ({ container: name, action: 'create', step }));
}

/** The container's former steps by its record; where that is lost or damaged, what apply finds on the host and removes. */
async function findFormer(session: Session, facts: HostFacts, one: Plan): Promise<Required<Planned>> {
  // A record that is for another runspec to read has ended the plan when the facts were gathered.
  const { record, faults } = await session.records.look(one.name);
  const isLost = record === undefined || faults.some(({ kind }) => kind === 'unreadable');
  return {
    context: opContext(session, one.name, () => undefined),
    plan: one,
    formerSteps: formerSteps(record, facts),
    remains: isLost ? await findLost(session, one.name) : [],
  };
}

/** Changes that leave their object alone, by what is told of them instead. */
type Spared = ReadonlyMap<Change, { readonly mark: string; readonly reason: string }>;

function findSpared(changes: readonly (readonly Change[])[], kept: ReadonlyMap<Change, string>): Spared {
  const repeated = findRepeated(changes, kept);
  return new Map([
    ...[...kept].map(
      ([change, why]) => [change, { mark: '=', reason: `${change.reason ?? ''}: ${why}` }] as const,
    ),
    ...[...repeated].map(([change, reason]) => [change, { mark: MARKS.none, reason }] as const),
  ]);
}

function renderPlan(
  { colorOfData: color }: CommandContext,
  plan: Plan,
  changes: readonly Change[],
  spared: Spared,
): string {
  const lines = changes.map((change) => {
    const { mark, reason } = spared.get(change) ?? { mark: MARKS[change.action], reason: change.reason };
    const text = printable(`${mark} ${change.step.id.padEnd(28)} ${describe(change.step)}`);
    const colored = mark === MARKS.none ? paint({ color }, 'dim', text) : text;
    return reason === undefined
      ? colored
      : `${colored}\n${' '.repeat(31)}${paint({ color }, 'yellow', printable(reason))}`;
  });
  const count = (action: Change['action']): number =>
    changes.filter((change) => change.action === action && !spared.has(change)).length;
  // Work that another container's step does is not counted here.
  const own = changes.filter((change) => spared.get(change)?.mark !== MARKS.none);
  const summary = hasEffect(own)
    ? `${count('create')} to create, ${count('update')} to update, ${count('replace')} to replace, ${count('delete')} to delete`
    : 'nothing to do';
  const head = `${paint({ color }, 'bold', plan.name)}  by ${plan.runtime.name} (${printable(plan.runtime.path)})`;
  return `${head}\n${renderImage(plan)}${lines.map((line) => `  ${line}\n`).join('')}${plan.name}: ${summary}\n`;
}

/**
 * Shows what the spec leaves to its image, so that nobody has to guess what will run. Values are quoted, as they are a
 * stranger's text.
 */
function renderImage({ image }: Plan): string {
  if (image === undefined) return '';
  const { env = {}, ...words } = image.process;
  const lines = [
    ...Object.entries(words).map(([word, value]) => `process.${word} ${JSON.stringify(value)}`),
    ...Object.entries(env).map(([name, value]) => `process.env ${JSON.stringify(`${name}=${value}`)}`),
  ];
  return `  image ${printable(image.reference)} ${image.digest}\n${lines.map((line) => `    says ${printable(line)}\n`).join('')}`;
}

function toJson(plans: readonly Plan[], changes: readonly (readonly Change[])[], spared: Spared): unknown {
  return {
    changed: changes.some(hasEffect),
    containers: plans.map((plan, index) => ({
      name: plan.name,
      runtime: plan.runtime,
      lease: plan.lease ?? null,
      image: plan.image ?? null,
      changes: (changes[index] ?? []).map((change) => {
        const { step } = change;
        const without = spared.get(change);
        const action = without === undefined ? change.action : 'none';
        const { reason = null } = without ?? change;
        return { id: step.id, op: step.op, action, reason, step };
      }),
    })),
  };
}

function renderScript(plans: readonly Plan[]): string {
  const all = plans.flatMap(({ steps }) => steps);
  // A shared step is rendered for the first of its containers only.
  const isFirst = (step: Step, index: number): boolean =>
    step.shared !== true || all.findIndex(({ id }) => id === step.id) === index;
  const body = all
    .filter(isFirst)
    .flatMap((step) => ['', comment(`${step.id}: ${describe(step)}`), ...opOf(step).toShell(step)]);
  const head = [
    '#!/bin/sh',
    '# All that the specs ask for, as on a host that has nothing of it yet; runspec plan says what is left to do here.',
    'set -eu',
  ];
  return `${[...head, ...body].join('\n')}\n`;
}

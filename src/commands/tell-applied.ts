// tellApplied: what apply says of a container once it is as its spec wants it.
import type { Plan } from '../plan/plan.ts';
import { containerFolder } from '../plan/container-folder.ts';
import { hasEffect } from '../run/changes.ts';
import { describeEnd, readContainerState } from '../runtime/container-state.ts';
import type { CommandContext } from './context.ts';
import type { Work } from './prepare.ts';
import { showAddresses, showPorts } from './show-place.ts';

export async function tellApplied(
  context: CommandContext,
  work: Pick<Work, 'plan' | 'changes'>,
  milliseconds: number,
  changed: number,
): Promise<void> {
  const { plan, changes } = work;
  if (context.json)
    context.stdout(`${JSON.stringify({ event: 'applied', container: plan.name, changed, milliseconds })}\n`);
  else if (!context.quiet) {
    const took = hasEffect(changes) ? `  ${milliseconds} ms` : '';
    context.stderr(`${plan.name} is ${await describeResult(context, work)}${took}`);
  }
}

/** A process may have ended by now, at once or long after its apply. */
async function describeResult(
  { host, dataDir }: CommandContext,
  { plan, changes }: Pick<Work, 'plan' | 'changes'>,
): Promise<string> {
  const state = await readContainerState(host, containerFolder(dataDir, plan.name));
  if (state.status === 'exited') return `applied, and its process has ${describeEnd(state)}`;
  return `${hasEffect(changes) ? 'up' : 'up to date'}${where(plan)}`;
}

function where(plan: Plan): string {
  const [addresses, ports] = [showAddresses(plan.lease), showPorts(plan)];
  const address = addresses.length === 0 ? '' : `, address ${addresses.join(' and ')}`;
  return `${address}${ports.length === 0 ? '' : `, ports ${ports.join(' ')}`}`;
}

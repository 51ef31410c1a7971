// Prepares the work of a call: for each container its plan, what was applied of it, and the changes between them.
import { posix } from 'node:path';
import type { LoadedSpec } from '../load/load.ts';
import { STDIN } from '../load/read-sources.ts';
import type { Compiled } from '../plan/compile.ts';
import type { HostFacts } from '../plan/facts.ts';
import type { Plan, Step } from '../plan/plan.ts';
import { computeAllChanges, type Change } from '../run/changes.ts';
import { recordedSteps, type ContainerRecord } from '../run/records.ts';
import { opContext, type Session } from '../run/session.ts';
import { asOfNow } from '../run/shared-ipv6.ts';
import type { CommandContext } from './context.ts';
import type { UnderstoodText } from './known-specs.ts';
import type { LoadedSpecs } from './load-specs.ts';

/** One container of the call. */
export interface Work {
  readonly plan: Plan;
  readonly changes: readonly Change[];
  readonly record: ContainerRecord | undefined;
  readonly specFile: string;
  /** Text that the spec comes from, if it is to be remembered. */
  readonly understood: UnderstoodText | undefined;
}

/** Absolute path of a spec's file, and its text if that is to be remembered. */
function sourceOf(
  { workingDirectory }: CommandContext,
  { understood }: LoadedSpecs,
  spec: LoadedSpec | undefined,
): Pick<Work, 'specFile' | 'understood'> {
  const file = spec?.file ?? '';
  return {
    specFile: file === STDIN ? file : posix.resolve(workingDirectory, file),
    understood: understood.find(({ source }) => source.file === file),
  };
}

/** All that may be on the host of a container; of a bridge, as it is needed by now. */
export function formerSteps(record: ContainerRecord | undefined, { containers }: HostFacts): readonly Step[] {
  if (record === undefined) return [];
  const others = Object.entries(containers).flatMap(([name, { lease }]) =>
    name === record.name || lease === undefined ? [] : [lease],
  );
  return asOfNow(recordedSteps(record), others);
}

/** Compares the plans with what was applied and with the kernel. Reads only. */
export async function prepareAll(
  context: CommandContext,
  session: Session,
  loaded: LoadedSpecs,
  compiled: readonly Compiled[],
  facts: HostFacts,
): Promise<readonly Work[]> {
  const all = await Promise.all(
    compiled.flatMap(({ plan }, index) => {
      if (plan === undefined) return [];
      const source = sourceOf(context, loaded, loaded.specs[index]);
      return [session.records.read(plan.name).then((record) => ({ ...source, plan, record }))];
    }),
  );
  const changes = await computeAllChanges(
    all.map(({ plan, record }) => ({
      context: opContext(session, plan.name, () => undefined),
      plan,
      formerSteps: formerSteps(record, facts),
    })),
  );
  return all.map((one, index) => ({ ...one, changes: changes[index] ?? [] }));
}

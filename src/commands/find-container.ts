// The applied plan of a container by its name, from its records.
import { OperationError, UsageError } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';
import { readBootId } from '../runtime/proc.ts';
import { createRecords } from '../run/records.ts';
import type { CommandContext } from './context.ts';
import { unknownContainer } from './unknown-container.ts';

export async function findPlan(context: CommandContext, name: string): Promise<Plan> {
  const { host, dataDir } = context;
  const records = createRecords(host, dataDir, await readBootId(host));
  const record = await records.read(name);
  if (record?.applied !== undefined) return record.applied;
  if (record !== undefined) {
    throw new OperationError(`${name} is not up: its apply was cut short`, {
      hint: 'apply its spec again, or take it down',
    });
  }
  const unknown = await unknownContainer(records, name);
  const kept = /^[a-z0-9-]+$/.test(name) && (await host.status(`${dataDir}/writable/${name}`)) !== undefined;
  throw kept
    ? new UsageError(unknown.message, 'its writable layer is kept: apply its spec to bring it up')
    : unknown;
}

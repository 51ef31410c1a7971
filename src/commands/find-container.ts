// The applied plan of a container by its name, from its records.
import { OperationError, UsageError } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';
import { readBootId } from '../run/gather-facts.ts';
import { createRecords } from '../run/records.ts';
import type { CommandContext } from './context.ts';

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
  const known = await records.names();
  const kept = /^[a-z0-9-]+$/.test(name) && (await host.status(`${dataDir}/writable/${name}`)) !== undefined;
  throw new UsageError(
    `no container ${name} is up`,
    kept
      ? 'its writable layer is kept: apply its spec to bring it up'
      : known.length === 0
        ? 'none is'
        : `up are: ${known.join(', ')}`,
  );
}

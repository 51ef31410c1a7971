// umount of what is runspec's own; when it is busy, the error says who holds it.
import { OperationError } from '../errors.ts';
import { describeHolders, findMountUsers } from '../host/holders.ts';
import type { Host } from '../host/host.ts';

export const RELEASE = 'end it, or let it leave, and take the container down again';

export async function unmount(host: Host, target: string): Promise<void> {
  const { argv, status, stderr } = await host.run(['umount', target]);
  if (status === 0) return;
  const holders = await findMountUsers(host, target);
  const reason = holders.length === 0 ? stderr.trim() : `held by ${describeHolders(holders)}`;
  throw new OperationError(`cannot unmount ${target}: ${reason}`, {
    command: { argv, status, stderr },
    hint: holders.length === 0 ? undefined : RELEASE,
  });
}

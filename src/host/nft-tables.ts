// Which nft tables of a family there are. Reads only.
import { runChecked } from './commands.ts';
import type { Host } from './host.ts';

/** Names of the tables of the family netdev. */
export async function listNetdevTables(host: Host): Promise<readonly string[]> {
  const { stdout } = await runChecked(host, ['nft', 'list', 'tables', 'netdev']);
  return stdout.split('\n').flatMap((line) => /^table netdev (\S+)$/.exec(line.trim())?.[1] ?? []);
}

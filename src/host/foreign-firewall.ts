// Reads the filter chains of others: of nft, of iptables on top of nft (whose matches only iptables can show), and of
// the kernel's older tables. Reads only.
import type { ForeignChain } from '../plan/foreign-chains.ts';
import { runChecked } from './commands.ts';
import type { Host } from './host.ts';
import { parseIptables } from './iptables-chains.ts';
import { saveProgram, type ForeignTables, type IptablesTool } from './foreign-tables.ts';
import { parseNft } from './nft-chains.ts';
import { listRuleset } from './nft-json.ts';
import type { BaseChain } from './nft-table.ts';

/** @throws OperationError when a firewall cannot be read. */
export async function readForeignChains(
  host: Host,
  { nft, iptables }: ForeignTables,
): Promise<readonly ForeignChain[]> {
  const [native, ...saved] = await Promise.all([
    nft.length === 0 ? [] : readNft(host, nft),
    ...iptables.map((tool) => readIptables(host, tool)),
  ]);
  return [...native, ...saved.flat()];
}

async function readIptables(host: Host, tool: IptablesTool): Promise<readonly ForeignChain[]> {
  return parseIptables((await runChecked(host, [saveProgram(tool)])).stdout, tool);
}

async function readNft(host: Host, chains: readonly BaseChain[]): Promise<readonly ForeignChain[]> {
  // Terse: sets may have a hundred thousand elements, and nft of its own accord asks for all of them.
  const [objects, listing] = await Promise.all([
    listRuleset(host),
    runChecked(host, ['nft', '-s', '-a', '-t', 'list', 'ruleset']),
  ]);
  return parseNft(objects, listing.stdout, (family, table) =>
    chains.some((chain) => chain.family === family && chain.table === table),
  );
}

// Filter chains of others on the way of a container's packets, found by the base chains alone: on a host without any,
// no further program is started. Reads only.
import { OperationError } from '../errors.ts';
import { NFT_TABLE } from '../names.ts';
import type { ForeignRules } from '../plan/facts.ts';
import type { FirewallTool } from '../plan/foreign-chains.ts';
import type { Host } from './host.ts';
import type { BaseChain } from './nft-table.ts';

export type IptablesTool = Exclude<FirewallTool, 'nft'>;

/** Tables to read, by the tool that can read them. */
export interface ForeignTables {
  readonly nft: readonly BaseChain[];
  readonly iptables: readonly IptablesTool[];
}

const FAMILIES: ReadonlySet<string> = new Set(['ip', 'ip6', 'inet']);
const HOOKS: ReadonlySet<string> = new Set(['prerouting', 'input', 'forward', 'output']);
const IPTABLES_TABLES: ReadonlySet<string> = new Set(['raw', 'mangle', 'filter', 'security']);

/** Filter chains of others; runspec's own stand in a table of their own. */
export async function readForeignRules(host: Host, baseChains: readonly BaseChain[]): Promise<ForeignRules> {
  const tables = await findForeignTables(host, baseChains);
  if (tables.nft.length === 0 && tables.iptables.length === 0) return {};
  const { readForeignChains } = await import('./foreign-firewall.ts');
  try {
    return { foreignChains: await readForeignChains(host, tables) };
  } catch (error) {
    // Foreign rules that cannot be read fail no plan: the reason is reported instead.
    if (error instanceof OperationError) return { unreadable: [error.message] };
    throw error;
  }
}

async function findForeignTables(host: Host, baseChains: readonly BaseChain[]): Promise<ForeignTables> {
  const foreign = baseChains.filter(
    ({ family, table, type, hook }) =>
      type === 'filter' &&
      HOOKS.has(hook) &&
      FAMILIES.has(family) &&
      !(family === 'inet' && table === NFT_TABLE),
  );
  const nft: BaseChain[] = [];
  const tools = new Set<IptablesTool>();
  for (const chain of foreign) {
    const tool = chain.family === 'ip' ? 'iptables' : 'ip6tables';
    // Without iptables-nft-save nft reads the table: the matches stay unknown, the chains and verdicts do not.
    const isReadable = isOfIptables(chain) && (await host.which(saveProgram(tool))) !== undefined;
    if (isReadable) tools.add(tool);
    else nft.push(chain);
  }
  if (await hasTables(host, '/proc/net/ip_tables_names')) tools.add('iptables-legacy');
  if (await hasTables(host, '/proc/net/ip6_tables_names')) tools.add('ip6tables-legacy');
  return { nft, iptables: [...tools] };
}

function isOfIptables({ family, table, name, hook }: BaseChain): boolean {
  return family !== 'inet' && IPTABLES_TABLES.has(table) && name === hook.toUpperCase();
}

/** Whether the kernel lists tables of iptables-legacy; asking that program would make them. */
async function hasTables(host: Host, path: string): Promise<boolean> {
  const names = ((await host.readText(path)) ?? '').split('\n');
  return names.some((name) => IPTABLES_TABLES.has(name));
}

export function saveProgram(tool: IptablesTool): string {
  return tool === 'iptables' || tool === 'ip6tables' ? `${tool}-nft-save` : `${tool}-save`;
}

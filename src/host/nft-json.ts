// What `nft -j` lists, as objects. Before 1.1.0 nft has freed the flags of a table by the time it prints them (src/json.c,
// table_flags_json): another value stands there, or the output ends. All else is whole, so it is asked for without the tables.
// Reads only.
import { commandError, runChecked } from './commands.ts';
import type { Host } from './host.ts';
import { asList, parseJson, record, text, type Fields } from './json-fields.ts';

/** One document for each command of the call. */
function parseObjects(stdout: string): readonly Fields[] {
  const documents = stdout.trim().split(/(?<=\})\s*(?=\{"nftables")/);
  return documents.flatMap((one) => asList(record(parseJson(one, 'nft'))['nftables']));
}

/** Whether nft has stopped at the flags of a table. */
function isCutShort(stdout: string): boolean {
  return stdout.includes('"flags": ') && !stdout.trimEnd().endsWith(']}');
}

/**
 * All of one table; undefined when there is none. Its flags are to be trusted only to be there.
 * @param options `-t` leaves out the elements of sets that have a name: there may be a hundred thousand.
 */
export async function listTable(
  host: Host,
  family: string,
  table: string,
  options: readonly '-t'[] = [],
): Promise<readonly Fields[] | undefined> {
  const result = await host.run(['nft', '-j', ...options, 'list', 'table', family, table]);
  if (result.status !== 0 && isMissing(result.stderr)) return undefined;
  if (result.status !== 0) throw commandError(`cannot read the nft table ${family} ${table}`, result);
  if (!isCutShort(result.stdout)) return parseObjects(result.stdout);
  const objects: Fields[] = [{ table: { family, name: table, flags: 'some' } }];
  // One at a time: of several in one process nft 1.0.6 finds the last alone.
  for (const object of await list(host, ['-t', 'list chains; list sets; list maps']))
    for (const kind of ['chain', 'set', 'map']) {
      const found = record(object[kind]);
      const name = text(found['name']);
      if (name === undefined || found['family'] !== family || found['table'] !== table) continue;
      objects.push(...(await list(host, [...options, 'list', kind, family, table, name])));
    }
  return objects;
}

/** Chains and rules of all tables. */
export async function listRuleset(host: Host): Promise<readonly Fields[]> {
  const { stdout } = await runChecked(host, ['nft', '-j', '-t', 'list', 'ruleset']);
  if (!isCutShort(stdout)) return parseObjects(stdout);
  const tables = await listTables(host);
  return (
    await Promise.all(
      tables.map(async ({ family, name }) => (await listTable(host, family, name, ['-t'])) ?? []),
    )
  ).flat();
}

/** Chains without their rules, and tables. @param stdout of the command that lists them together. */
export async function readChainsAndTables(host: Host, stdout: string): Promise<readonly Fields[]> {
  if (!isCutShort(stdout)) return parseObjects(stdout);
  const tables = await listTables(host);
  return [...(await list(host, ['list chains'])), ...tables.map((table) => ({ table }))];
}

/** What is not there is told so by nft, as if something were wrong. */
export function isMissing(stderr: string): boolean {
  return /No such file or directory|does not exist/.test(stderr);
}

async function list(host: Host, words: readonly string[]): Promise<readonly Fields[]> {
  return parseObjects((await runChecked(host, ['nft', '-j', ...words])).stdout);
}

async function listTables(
  host: Host,
): Promise<readonly { readonly family: string; readonly name: string }[]> {
  const lines = (await runChecked(host, ['nft', 'list', 'tables'])).stdout.split('\n');
  return lines.flatMap((line) => {
    const [, family, name] = /^table (\S+) (\S+)$/.exec(line) ?? [];
    return family === undefined || name === undefined ? [] : [{ family, name }];
  });
}

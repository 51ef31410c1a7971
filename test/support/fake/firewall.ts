// The nftables of a fake machine: tables with chains, sets and maps, changed by whole scripts or not at all.
interface Element {
  readonly key: string;
  readonly value: string | undefined;
  readonly comment: string | undefined;
}

interface Table {
  readonly chains: Map<string, string[]>;
  readonly sets: Map<string, Map<string, Element>>;
}

export interface FakeFirewall {
  /** A transaction: all lines or none. Throws NftError with what nft would complain about. */
  load(script: string): void;
  /** `nft -j list table inet NAME`. */
  list(table: string): string;
  dump(): readonly string[];
  /** @returns what brings back all of it as it is now. */
  keep(): () => void;
}

export class NftError extends Error {
  override readonly name = 'NftError';
}

const DECLARATION = /^(?:set|map) (\S+) \{.*\}$/;
const CHAIN = /^chain (\S+) \{.*\}$/;
const RULE = /^add rule inet (\S+) (\S+) (.*?)(?: comment "([^"]*)")?$/;
const ADD_ELEMENT = /^add element inet (\S+) (\S+) \{ (.+?)(?: comment "([^"]*)")?(?: : (.+))? \}$/;
const DELETE_ELEMENT = /^delete element inet (\S+) (\S+) \{ (.+) \}$/;

export function createFakeFirewall(): FakeFirewall {
  let tables = new Map<string, Table>();
  return {
    load(script) {
      const draft = structuredClone(tables);
      let open: Table | undefined;
      for (const line of script.split('\n').map((text) => text.trim())) {
        if (line === '') continue;
        if (line === '}') open = undefined;
        else if (open !== undefined) declare(open, line);
        else open = change(draft, line);
      }
      tables = draft;
    },
    list(name) {
      const { chains, sets } = find(tables, name);
      const rules = [...chains].flatMap(([chain, comments]) => [
        { chain: { family: 'inet', table: name, name: chain } },
        ...comments.map((comment) => ({ rule: { family: 'inet', table: name, chain, comment } })),
      ]);
      const shown = [...sets].map(([set, elements]) => ({
        set: { table: name, name: set, elem: [...elements.values()].map(show) },
      }));
      return JSON.stringify({ nftables: [{ metainfo: {} }, { table: { name } }, ...shown, ...rules] });
    },
    dump: () =>
      [...tables].flatMap(([name, { chains, sets }]) => [
        `nft table ${name}`,
        ...[...chains].map(([chain, comments]) => `nft chain ${name} ${chain}: ${comments.join(' ')}`),
        ...[...sets].flatMap(([set, elements]) =>
          [...elements.values()].map((one) => `nft element ${name} ${set} ${JSON.stringify(one)}`),
        ),
      ]),
    keep() {
      const kept = structuredClone(tables);
      return () => void (tables = structuredClone(kept));
    },
  };
}

function find(tables: ReadonlyMap<string, Table>, name: string): Table {
  const table = tables.get(name);
  if (table === undefined) throw new NftError('Error: No such file or directory');
  return table;
}

function part<T>(found: T | undefined): T {
  if (found === undefined) throw new NftError('Error: No such file or directory');
  return found;
}

function declare(table: Table, line: string): void {
  const set = DECLARATION.exec(line)?.[1];
  const chain = CHAIN.exec(line)?.[1];
  if (set !== undefined && !table.sets.has(set)) table.sets.set(set, new Map());
  if (chain !== undefined && !table.chains.has(chain)) table.chains.set(chain, []);
  if (set === undefined && chain === undefined) throw unknown(line);
}

/** Gives the table whose block the line opens. */
function change(tables: Map<string, Table>, line: string): Table | undefined {
  const opened = /^table inet (\S+) \{$/.exec(line)?.[1];
  if (opened !== undefined) {
    const table = tables.get(opened) ?? { chains: new Map(), sets: new Map() };
    tables.set(opened, table);
    return table;
  }
  const [, flushed = '', chain = ''] = /^flush chain inet (\S+) (\S+)$/.exec(line) ?? [];
  const deleted = /^delete table inet (\S+)$/.exec(line)?.[1];
  const rule = RULE.exec(line);
  const added = ADD_ELEMENT.exec(line);
  const removed = DELETE_ELEMENT.exec(line);
  if (chain !== '') part(find(tables, flushed).chains.get(chain)).length = 0;
  else if (deleted !== undefined) {
    find(tables, deleted);
    tables.delete(deleted);
  } else if (rule !== null) part(find(tables, rule[1] ?? '').chains.get(rule[2] ?? '')).push(rule[4] ?? '');
  else if (added !== null) {
    const [, table = '', set = '', key = '', comment, value] = added;
    const elements = part(find(tables, table).sets.get(set));
    const known = elements.get(key);
    if (known !== undefined && known.value !== value)
      throw new NftError('Error: Could not process rule: File exists');
    if (known === undefined) elements.set(key, { key, comment, value });
  } else if (removed !== null) {
    const [, table = '', set = '', key = ''] = removed;
    if (!part(find(tables, table).sets.get(set)).delete(key))
      throw new NftError('Error: Could not process rule: No such file or directory');
  } else throw unknown(line);
  return undefined;
}

/** As nft's JSON has it: a value, wrapped when it carries a comment, and in a pair when it maps to another. */
function show({ key, value, comment }: Element): unknown {
  const wrapped = comment === undefined ? concat(key) : { elem: { val: concat(key), comment } };
  return value === undefined ? wrapped : [wrapped, concat(value)];
}

function concat(text: string): unknown {
  const parts = text
    .split(' . ')
    .map((word) => (/^\d+$/.test(word) ? Number(word) : word.replaceAll('"', '')));
  return parts.length === 1 ? parts[0] : { concat: parts };
}

function unknown(line: string): Error {
  return new Error(`the fake host does not know: nft ${line}`);
}

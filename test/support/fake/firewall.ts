// The nftables of a fake machine: tables with chains, sets and maps, changed by whole scripts or not at all.
interface Element {
  readonly key: string;
  readonly value: string | undefined;
  readonly comment: string | undefined;
}

interface Table {
  readonly chains: Map<string, string[]>;
  /** What hooks a chain of the family inet: as in `type filter hook forward priority 0; policy accept;`. */
  readonly headers: Map<string, string>;
  /** Links that chains of the family netdev hook, by the chain. */
  readonly devices: Map<string, string>;
  readonly sets: Map<string, Map<string, Element>>;
}

export interface FakeFirewall {
  /** A transaction: all lines or none. Throws NftError with what nft would complain about. */
  load(script: string): void;
  /** `nft -j list table FAMILY NAME`. */
  list(family: string, table: string): string;
  /** `nft -j list tables`. */
  listTables(): string;
  /** The kernel takes a chain away with the link that it hooks; its table stays. */
  forgetLink(name: string): void;
  /** `nft -j list chains`. */
  listChains(): string;
  dump(): readonly string[];
  /** @returns what brings back all of it as it is now. */
  keep(): () => void;
}

export class NftError extends Error {
  override readonly name = 'NftError';
}

const DECLARATION = /^(?:set|map) (\S+) \{.*\}$/;
const CHAIN = /^chain (\S+) \{ ?(.*?) ?\}$/;
const HEADER = /^type (\S+) hook (\S+) priority (\S+); policy (\S+);$/;
const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, dstnat: -100, filter: 0, srcnat: 100 };
const RULE = /^add rule inet (\S+) (\S+) (.*?)(?: comment "([^"]*)")?$/;
const ADD_ELEMENT =
  /^(?:add|create) element inet (\S+) (\S+) \{ (.+?)(?: comment "([^"]*)")?(?: : (.+))? \}$/;
const INGRESS = /^type filter hook ingress device "(\S+)" priority \S+ policy accept;$/;
const INGRESS_RULE = /^.* comment "([^"]*)"$/;
const DELETE_ELEMENT = /^delete element inet (\S+) (\S+) \{ (.+) \}$/;

export function createFakeFirewall(hasLink: (name: string) => boolean): FakeFirewall {
  let tables = new Map<string, Table>();
  return {
    load(script) {
      const draft = structuredClone(tables);
      let open: Table | undefined;
      let chain: string | undefined;
      for (const line of script.split('\n').map((text) => text.trim())) {
        if (line === '') continue;
        const begun = /^chain (\S+) \{$/.exec(line)?.[1];
        if (line === '}' && chain !== undefined) chain = undefined;
        else if (line === '}') open = undefined;
        else if (open !== undefined && begun !== undefined) open.chains.set((chain = begun), []);
        else if (open !== undefined && chain !== undefined) hook(open, chain, line, hasLink);
        else if (open !== undefined) declare(open, line);
        else open = change(draft, line);
      }
      tables = draft;
    },
    list(family, name) {
      const { chains, headers, sets } = find(tables, keyOf(family, name));
      const rules = [...chains].flatMap(([chain, comments]) => [
        { chain: { family, table: name, name: chain, ...showHeader(headers.get(chain)) } },
        ...comments.map((comment) => ({ rule: { family, table: name, chain, comment } })),
      ]);
      const shown = [...sets].map(([set, elements]) => ({
        set: { table: name, name: set, elem: [...elements.values()].map(show) },
      }));
      return JSON.stringify({ nftables: [{ metainfo: {} }, { table: { name } }, ...shown, ...rules] });
    },
    listTables: () => {
      const shown = [...tables.keys()].map(placeOf).map(([family, name]) => ({ table: { family, name } }));
      return JSON.stringify({ nftables: [{ metainfo: {} }, ...shown] });
    },
    forgetLink(name) {
      for (const { chains, devices } of tables.values())
        for (const [chain, device] of devices) if (device === name) chains.delete(chain);
    },
    listChains: () => {
      const chains = [...tables].flatMap(([key, one]) => {
        const [family, table] = placeOf(key);
        return [...one.chains.keys()].map((name) => ({ chain: { family, table, name } }));
      });
      return JSON.stringify({ nftables: [{ metainfo: {} }, ...chains] });
    },
    dump: () =>
      [...tables].flatMap(([name, { chains, headers, sets }]) => [
        `nft table ${name}`,
        ...[...headers].map(([chain, header]) => `nft chain ${name} ${chain} { ${header} }`),
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

/** Tables of `inet` go by their name alone. */
function keyOf(family: string, name: string): string {
  return family === 'inet' ? name : `${family} ${name}`;
}

function placeOf(key: string): readonly [family: string, name: string] {
  const [family = '', name] = key.split(' ');
  return name === undefined ? ['inet', family] : [family, name];
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
  const [, chain, header = ''] = CHAIN.exec(line) ?? [];
  if (set !== undefined && !table.sets.has(set)) table.sets.set(set, new Map());
  if (chain !== undefined && !table.chains.has(chain)) table.chains.set(chain, []);
  if (chain !== undefined && header !== '') {
    const place = (text = header): string => text.replace(/ policy \w+;$/, '');
    // nf_tables_api.c, nf_tables_updchain: a chain that hangs somewhere stays there.
    if (place(table.headers.get(chain)) !== place())
      throw new NftError('Error: Could not process rule: Operation not supported');
    table.headers.set(chain, header);
  }
  if (set === undefined && chain === undefined) throw unknown(line);
}

/** A chain of the family netdev over several lines, as runspec writes it. */
function hook(table: Table, chain: string, line: string, hasLink: (name: string) => boolean): void {
  const device = INGRESS.exec(line)?.[1];
  const comment = INGRESS_RULE.exec(line)?.[1];
  if (device !== undefined) {
    if (!hasLink(device)) throw new NftError('Error: Could not process rule: No such file or directory');
    table.devices.set(chain, device);
  } else if (comment !== undefined) part(table.chains.get(chain)).push(comment);
  else throw unknown(line);
}

/** Gives the table whose block the line opens. */
function change(tables: Map<string, Table>, line: string): Table | undefined {
  const [, kind = '', family = '', named = '', brace] =
    /^(add |delete )?table (inet|netdev) (\S+)( \{)?$/.exec(line) ?? [];
  const table = keyOf(family, named);
  if (kind === 'delete ') {
    find(tables, table);
    tables.delete(table);
    return undefined;
  }
  if (named !== '') {
    const there = tables.get(table) ?? {
      chains: new Map(),
      headers: new Map(),
      devices: new Map(),
      sets: new Map(),
    };
    tables.set(table, there);
    return brace === undefined ? undefined : there;
  }
  const [, own = '', added = ''] = /^add set inet (\S+) (\S+) \{ .* \}$/.exec(line) ?? [];
  if (added !== '') {
    declare(find(tables, own), `set ${added} { }`);
    return undefined;
  }
  const [, flushed = '', chain = ''] = /^flush chain inet (\S+) (\S+)$/.exec(line) ?? [];
  const [, shrunk = '', gone = ''] = /^delete chain inet (\S+) (\S+)$/.exec(line) ?? [];
  const rule = RULE.exec(line);
  const element = ADD_ELEMENT.exec(line);
  const removed = DELETE_ELEMENT.exec(line);
  if (chain !== '') part(find(tables, flushed).chains.get(chain)).length = 0;
  else if (gone !== '') {
    const { chains, headers } = find(tables, shrunk);
    if (part(chains.get(gone)).length > 0)
      throw new NftError('Error: Could not process rule: Device or resource busy');
    chains.delete(gone);
    headers.delete(gone);
  } else if (rule !== null) part(find(tables, rule[1] ?? '').chains.get(rule[2] ?? '')).push(rule[4] ?? '');
  else if (element !== null) {
    const [, table = '', set = '', key = '', comment, value] = element;
    const elements = part(find(tables, table).sets.get(set));
    const known = elements.get(key);
    if (known !== undefined && line.startsWith('create'))
      throw new NftError('Error: Could not process rule: File exists');
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

function showHeader(header: string | undefined): object {
  const [, type, hook, priority = '', policy] = HEADER.exec(header ?? '') ?? [];
  return type === undefined ? {} : { type, hook, prio: PRIORITIES[priority] ?? Number(priority), policy };
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

// The table `inet runspec`: hooks, sets and maps without elements. One transaction makes or mends it; it
// goes with its last element, and no other table is ever touched.
import { sha256 } from '../crypto.ts';
import { commandError } from '../host/commands.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { NftTableState } from '../host/nft-table.ts';
import { runNft, tryNft } from '../host/nft.ts';
import type { NftTableStep } from '../plan/plan.ts';
import type { Difference, Op } from './op.ts';
import { hereDocument } from './shell.ts';

export const nftTable: Op<'nft-table'> = {
  describe: (step) => `nft table inet ${step.table}`,

  async probe({ view }, step) {
    const found = await view.nftTable(step.table);
    if (found === undefined) return { state: 'absent' };
    const differences = compare(step, found);
    return differences.length === 0 ? { state: 'present' } : { state: 'drifted', differences, inPlace: true };
  },

  async apply({ host }, step) {
    await runNft(host, renderTable(step));
  },

  // One transaction: no packet meets the table without its chains.
  async update({ host }, step) {
    const found = await createKernelView(host).nftTable(step.table);
    // Declared without flags it has none; in the transaction of that the kernel takes no new chain.
    if (found?.hasFlags === true) await runNft(host, `add table inet ${step.table}\n`);
    await runNft(host, (found === undefined ? '' : renderRemoval(step, found)) + renderTable(step));
  },

  // The kernel cannot delete a table only if it is empty. So the set `touched` is emptied, then the elements are read,
  // and the deletion fails if the set was filled since.
  async revert({ host, view }, { table }) {
    const known = (await view.nftTable(table)) ?? (await createKernelView(host).nftTable(table));
    if (known === undefined) return { outcome: 'gone' };
    const untouched = await tryNft(host, `${touch(table)}delete ${markOf(table)}`);
    const found = await createKernelView(host).nftTable(table);
    if (found === undefined) return { outcome: 'gone' };
    if (untouched.status !== 0) throw commandError(`cannot change the nft table ${table}`, untouched);
    const owners = [...found.sets].flatMap(([name, elements]) =>
      name === TOUCHED ? [] : elements.map(({ comment, key }) => comment ?? key),
    );
    if (owners.length > 0) {
      await runNft(host, touch(table));
      return {
        outcome: 'kept',
        reason: `it still holds elements of ${[...new Set(owners)].slice(0, 3).join(', ')}`,
      };
    }
    // `create`, unlike `add`, fails when the element exists.
    const deleted = await tryNft(host, `create ${markOf(table)}delete table inet ${table}\n`);
    if (deleted.status === 0) return { outcome: 'removed' };
    if (/No such file or directory/.test(deleted.stderr)) return { outcome: 'gone' };
    if (/File exists/.test(deleted.stderr))
      return { outcome: 'kept', reason: 'another runspec uses it by now' };
    throw commandError(`cannot delete the nft table ${table}`, deleted);
  },

  toShell: (step) => hereDocument(['nft', '-f', '-'], renderTable(step)),
};

/** A set outside the plan, made and filled in every transaction that adds an element. */
const TOUCHED = 'touched';

export function touch(table: string): string {
  return `add set inet ${table} ${TOUCHED} { type mark; }\nadd ${markOf(table)}`;
}

function markOf(table: string): string {
  return `element inet ${table} ${TOUCHED} { 1 }\n`;
}

// Declaring what exists changes nothing; chains are flushed and filled again, elements stay.
function renderTable(step: NftTableStep): string {
  const sets = step.sets.map((set) => `  ${set.declaration.replace(' ', ` ${set.name} `)}`);
  const headers = step.chains.map((chain) => `  chain ${chain.name} { ${chain.header} }`);
  const flushes = step.chains.map((chain) => `flush chain inet ${step.table} ${chain.name}`);
  const rules = step.chains.flatMap((chain) =>
    chain.rules.map(
      (rule) => `add rule inet ${step.table} ${chain.name} ${rule} comment "${fingerprint(rule)}"`,
    ),
  );
  return [`table inet ${step.table} {`, ...sets, ...headers, '}', ...flushes, ...rules, ''].join('\n');
}

/** Chains of others, which may jump to each other, and those of ours that hang elsewhere: the kernel moves none. */
function renderRemoval(step: NftTableStep, found: NftTableState): string {
  const doomed = [...found.chains.keys()].filter((name) => {
    const wanted = step.chains.find((chain) => chain.name === name);
    return wanted === undefined || placeOf(wanted.header) !== placeOf(showHeader(found, name));
  });
  const all = (verb: string): string =>
    doomed.map((name) => `${verb} chain inet ${step.table} ${name}\n`).join('');
  // Before the first of them goes, nothing may jump to it: a rule somebody has put into one of ours neither.
  const flushes = [...found.chains.keys()].map((name) => `flush chain inet ${step.table} ${name}\n`);
  return doomed.length === 0 ? '' : flushes.join('') + all('delete');
}

/** As a plan has it, but for names of priorities: `type filter hook forward priority 0; policy accept;`. */
function showHeader({ baseChains }: NftTableState, chain: string): string {
  const found = baseChains.find(({ name }) => name === chain);
  if (found === undefined) return 'no hook';
  const { type, hook, priority, policy } = found;
  return `type ${type} hook ${hook} priority ${priority}; policy ${policy};`;
}

/** man 8 nft, standard priorities. */
const PRIORITIES: ReadonlyMap<string, number> = new Map([
  ['raw', -300],
  ['mangle', -150],
  ['dstnat', -100],
  ['filter', 0],
  ['security', 50],
  ['srcnat', 100],
]);

function inNumbers(header: string): string {
  return header.replace(/(?<=priority )[a-z]+/, (name) => String(PRIORITIES.get(name) ?? name));
}

/** All but the policy, which alone can be changed. */
function placeOf(header: string): string {
  return inNumbers(header).replace(/ policy \w+;$/, '');
}

// nft prints rules in its own words, which change with its version; a digest of our words in the comment does not.
export function fingerprint(rule: string): string {
  return sha256(rule).slice(0, 12);
}

function compare(step: NftTableStep, found: NftTableState): readonly Difference[] {
  const sets = step.sets
    .filter((set) => !found.sets.has(set.name))
    .map((set) => ({ property: `set ${set.name}`, wanted: 'present', found: 'missing' }));
  const chains = step.chains.flatMap((chain): readonly Difference[] => {
    const comments = found.chains.get(chain.name);
    if (comments === undefined)
      return [{ property: `chain ${chain.name}`, wanted: 'present', found: 'missing' }];
    const header = { wanted: inNumbers(chain.header), found: showHeader(found, chain.name) };
    const wanted = chain.rules.map(fingerprint);
    return [
      ...(header.wanted === header.found ? [] : [{ property: `chain ${chain.name}`, ...header }]),
      ...(wanted.join() === comments.join()
        ? []
        : [
            {
              property: `chain ${chain.name}`,
              wanted: `${wanted.length} rules of ours`,
              found: `${comments.length} rules, not the same`,
            },
          ]),
    ];
  });
  const others = [...found.chains.keys()]
    .filter((name) => !step.chains.some((chain) => chain.name === name))
    .map((name) => ({ property: `chain ${name}`, wanted: 'none', found: showHeader(found, name) }));
  const flags = found.hasFlags
    ? [{ property: 'flags', wanted: 'none', found: 'some, as of a dormant table' }]
    : [];
  return [...flags, ...sets, ...chains, ...others];
}

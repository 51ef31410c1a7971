// The results as docs/reliability.md: what stands between the two marks is written anew, the words around it stay and
// depend on no figure. A campaign without a result is named as missing.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Campaign, Tally } from './campaign.ts';

const FILE = path.resolve(import.meta.dirname, '../../docs/reliability.md');
const BEGIN = '<!-- results: written by npm run torture -- --report -->';
const END = '<!-- end of results -->';

export interface Result {
  readonly campaign: Campaign;
  readonly rounds: number;
  readonly tally: Tally;
  readonly seconds: number;
  /** Why it could not go on. */
  readonly broken?: string;
}

export interface Report {
  readonly seed: number;
  /** Since the beginning of all of it. */
  readonly minutes: number;
  readonly own: readonly Campaign[];
  readonly peers: readonly Campaign[];
  /** Those that there are, in any order. */
  readonly results: readonly Result[];
}

export function writeReport(report: Report): void {
  const text = fs.readFileSync(FILE, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${FILE} has lost its marks`);
  fs.writeFileSync(FILE, `${before}${BEGIN}\n\n${renderReport(report)}\n\n${END}${after}`);
}

export function renderReport({ seed, minutes, own, peers, results }: Report): string {
  const find = (campaign: Campaign): Result | undefined => results.find((one) => one.campaign === campaign);
  const found = (list: readonly Campaign[]): readonly Result[] => list.flatMap((one) => find(one) ?? []);
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${os.cpus().length} × ${os.cpus()[0]?.model.trim() ?? 'unknown'}, Linux ${os.release()}`;
  const versions = new Set(
    found(peers)
      .flatMap(({ tally }) => tally.notes)
      .filter((one) => !isCount(one)),
  );
  const paragraphs = [
    [`Seed ${seed}, ${date}, ${machine}.`, `${minutes} minutes, several campaigns at a time.`].join(' '),
    versions.size === 0 ? '' : `Versions: ${[...versions].join(' · ')}.`,
    missing([...peers, ...own].filter((one) => find(one) === undefined)),
    '### The same campaign against all three',
    table(
      [
        '',
        'faults injected',
        'survived',
        'faults that left something',
        'objects left',
        'left by undisturbed use',
      ],
      peers.map((one) => [nameOf(one), ...peerCells(find(one))]),
    ),
    `What was left, by class: ${found(peers)
      .map(({ campaign, tally }) => `${nameOf(campaign)}: ${classes(tally)}`)
      .join('; ')}.`,
    '### Against runspec alone',
    table(
      ['campaign', 'what is done', 'rounds', 'faults injected', 'survived', 'residue found'],
      [
        ...own.map((one) => [one.name, one.title, ...ownCells(find(one))]),
        ['all', '', '', ...sums(found(own))],
      ],
    ),
    [...found(peers), ...found(own)].flatMap(remarks).join('\n'),
  ];
  return paragraphs.filter((text) => text !== '').join('\n\n');
}

/** The first two columns of campaigns are words, all others numbers. */
function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const isWords = (index: number): boolean =>
    index < head.indexOf('faults injected') && head[index] !== 'rounds';
  const line = (cells: readonly (string | number)[]): string => `| ${cells.map(shown).join(' | ')} |`;
  return [
    line(head),
    `|${head.map((_, index) => (isWords(index) ? '---' : '--:')).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}

function shown(cell: string | number): string {
  return typeof cell === 'number' ? cell.toLocaleString('en') : cell;
}

const MISSING = 'missing';

function missing(campaigns: readonly Campaign[]): string {
  if (campaigns.length === 0) return '';
  return `**Not all of it was run: ${campaigns.map(({ name }) => name).join(', ')} ${campaigns.length === 1 ? 'is' : 'are'} missing.**`;
}

function ownCells(result: Result | undefined): readonly (string | number)[] {
  if (result === undefined) return [MISSING, '', '', ''];
  const { rounds, tally } = result;
  return [rounds, tally.faults, tally.survived, tally.residue.length];
}

function peerCells(result: Result | undefined): readonly (string | number)[] {
  if (result === undefined) return [MISSING, '', '', '', ''];
  const { tally } = result;
  const left = tally.notes.find(isCount)?.split(': ')[1] ?? '';
  return [tally.faults, tally.survived, tally.counts['leaky rounds'] ?? 0, tally.residue.length, left];
}

function sums(results: readonly Result[]): readonly number[] {
  const sum = (of: (tally: Tally) => number): number =>
    results.reduce((total, { tally }) => total + of(tally), 0);
  return [sum((one) => one.faults), sum((one) => one.survived), sum((one) => one.residue.length)];
}

const nameOf = (campaign: Campaign): string => campaign.name.replace(/^peer-/, '');

const isCount = (note: string): boolean => note.startsWith('left by undisturbed use');

function classes(tally: Tally): string {
  const counted = Object.entries(tally.counts)
    .filter(([what]) => what.startsWith(RESIDUE))
    .map(([what, number]) => `${what.slice(RESIDUE.length)} ${number}`);
  return counted.length === 0 ? 'nothing' : counted.join(', ');
}

const RESIDUE = 'residue: ';

/** What else happened, how often; and why what was not survived. */
function remarks({ campaign, tally, broken }: Result): readonly string[] {
  const told = Object.entries(tally.counts).filter(([what]) => !what.startsWith(RESIDUE) && !SAID.has(what));
  const failures = campaign.name === nameOf(campaign) ? tally.failures.slice(0, 3) : [];
  const all = [
    ...(broken === undefined ? [] : [`broken off: ${firstLine(broken)}`]),
    ...told.map(([what, number]) => `${what} ${number}`),
    ...failures.map((line) => `not survived: ${firstLine(line)}`),
  ];
  return all.length === 0 ? [] : [`* ${campaign.name}: ${all.join(', ')}`];
}

/** In the tables, or of no interest: a kill that came too late was played again. */
const SAID: ReadonlySet<string> = new Set(['came too late', 'leaky rounds']);

function firstLine(text: string): string {
  return text.split('\n')[0]?.slice(0, 300) ?? '';
}

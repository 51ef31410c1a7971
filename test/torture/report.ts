// The results as docs/reliability.md: what stands between the two marks is written anew, the words around it stay.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Campaign, Tally } from './campaign.ts';

const FILE = path.resolve(import.meta.dirname, '../../docs/reliability.md');
const BEGIN = '<!-- results: written by npm run torture -- --report -->';
const END = '<!-- end of results -->';

export interface Result {
  readonly campaign: Campaign;
  readonly tally: Tally;
  readonly seconds: number;
}

export function writeReport(seed: number, own: readonly Result[], peers: readonly Result[]): void {
  const text = fs.readFileSync(FILE, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${FILE} has lost its marks`);
  fs.writeFileSync(FILE, `${before}${BEGIN}\n\n${render(seed, own, peers)}\n${END}${after}`);
}

function render(seed: number, own: readonly Result[], peers: readonly Result[]): string {
  const all = [...own, ...peers];
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${os.cpus().length} × ${os.cpus()[0]?.model.trim() ?? 'unknown'}, Linux ${os.release()}`;
  const sum = (of: (tally: Tally) => number): number => own.reduce((total, one) => total + of(one.tally), 0);
  const versions = [...new Set(peers.flatMap(({ tally }) => tally.notes))].filter((note) => !isCount(note));
  return `Seed ${seed}, ${date}, ${machine}. ${versions.join(' · ')}. ${Math.round(all.reduce((total, one) => total + one.seconds, 0) / 60)} minutes of campaigns, several at a time.

### The same campaign against all three

| | faults injected | survived | faults that left something | objects left | left by undisturbed use |
|---|--:|--:|--:|--:|--:|
${peers.map(renderPeer).join('\n')}

What was left, by class: ${peers.map(({ campaign, tally }) => `${nameOf(campaign)}: ${classes(tally)}`).join('; ')}.

### Against runspec alone

| campaign | what is done | faults injected | survived | residue found |
|---|---|--:|--:|--:|
${own.map(renderOwn).join('\n')}
| all | | ${sum((tally) => tally.faults)} | ${sum((tally) => tally.survived)} | ${sum((tally) => tally.residue.length)} |

${own.flatMap(({ campaign, tally }) => remarks(campaign, tally)).join('\n')}
`;
}

function renderOwn({ campaign, tally }: Result): string {
  return `| ${campaign.name} | ${campaign.title} | ${tally.faults} | ${tally.survived} | ${tally.residue.length} |`;
}

function renderPeer({ campaign, tally }: Result): string {
  const left = tally.notes.find(isCount)?.split(': ')[1] ?? '';
  const leaky = tally.counts['leaky rounds'] ?? 0;
  return `| ${nameOf(campaign)} | ${tally.faults} | ${tally.survived} | ${leaky} | ${tally.residue.length} | ${left} |`;
}

const nameOf = (campaign: Campaign): string => campaign.name.replace(/^peer-/, '');

const isCount = (note: string): boolean => note.startsWith('left by undisturbed use');

function classes(tally: Tally): string {
  const counted = Object.entries(tally.counts)
    .filter(([what]) => what.startsWith('residue: '))
    .map(([what, number]) => `${what.slice('residue: '.length)} ${number}`);
  return counted.length === 0 ? 'nothing' : counted.join(', ');
}

/** Counts that say how often what happened; those of residue and of misses are told elsewhere. */
function remarks(campaign: Campaign, tally: Tally): readonly string[] {
  const told = Object.entries(tally.counts).filter(([what]) => what !== 'came too late');
  const failures = tally.failures.slice(0, 3).map((line) => `not survived: ${line.split('\n')[0] ?? ''}`);
  const all = [...told.map(([what, number]) => `${what} ${number}`), ...failures];
  return all.length === 0 ? [] : [`* ${campaign.name}: ${all.join(', ')}`];
}

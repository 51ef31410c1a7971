// The page that `npm run torture -- --report` writes: every figure is of the run, and what is missing is named.
import { describe, expect, it } from 'vitest';
import type { Campaign, Tally } from './campaign.ts';
import { renderReport, type Result } from './report.ts';

const campaign = (name: string): Campaign => ({
  name,
  title: `does ${name}`,
  rounds: 1,
  run: () => Promise.resolve(),
});
const tally: Tally = { faults: 1001, survived: 1001, failures: [], residue: [], notes: [], counts: {} };
const result = (one: Campaign, parts: Partial<Result> = {}): Result => ({
  campaign: one,
  rounds: 1000,
  tally,
  seconds: 1,
  ...parts,
});
const [cycles, kills, ours, theirs] = ['cycles', 'kills', 'peer-runspec', 'peer-other'].map(campaign) as [
  Campaign,
  Campaign,
  Campaign,
  Campaign,
];
const render = (...results: readonly Result[]): string =>
  renderReport({ seed: 7, minutes: 3, own: [cycles, kills], peers: [ours, theirs], results });

describe('the report of a run', () => {
  it('has a row for each campaign with its rounds, and their sums', () => {
    const page = render(result(cycles), result(kills, { rounds: 20, tally: { ...tally, survived: 1000 } }));
    expect(page).toContain('| cycles | does cycles | 1,000 | 1,001 | 1,001 | 0 |');
    expect(page).toContain('| kills | does kills | 20 | 1,001 | 1,000 | 0 |');
    expect(page).toContain('| all |  |  | 2,002 | 2,001 | 0 |');
  });

  it('names what is missing, and nothing when all is there', () => {
    const page = render(result(cycles), result(ours));
    expect(page).toContain('**Not all of it was run: peer-other, kills are missing.**');
    expect(page).toContain('| kills | does kills | missing |  |  |  |');
    expect(page).toContain('| other | missing |  |  |  |  |');
    expect(render(...[cycles, kills, ours, theirs].map((one) => result(one)))).not.toContain('missing');
  });

  it('shows what a campaign that broke off had measured, and why it did', () => {
    const measured = { ...tally, faults: 3, survived: 3, failures: ['round 2: it failed\nat length'] };
    const page = render(result(kills, { tally: measured, broken: 'no host could be made\nat line 3' }));
    expect(page).toContain('| kills | does kills | 1,000 | 3 | 3 | 0 |');
    expect(page).toContain('* kills: broken off: no host could be made, not survived: round 2: it failed');
  });

  it('has versions, what was left by class, and what undisturbed use leaves', () => {
    const notes = ['other 4.3', 'runc 1.1', 'left by undisturbed use: 12'];
    const counts = { 'residue: mount': 2, 'residue: nft': 1, 'leaky rounds': 1, 'came too late': 4 };
    const residue = ['+ mount a', '+ mount b', '+ nft c'];
    const page = render(result(theirs, { tally: { ...tally, notes, counts, residue } }));
    expect(page).toContain('Versions: other 4.3 · runc 1.1.');
    expect(page).toContain('| other | 1,001 | 1,001 | 1 | 3 | 12 |');
    expect(page).toContain('What was left, by class: other: mount 2, nft 1.');
    expect(page).not.toContain('* peer-other');
  });
});

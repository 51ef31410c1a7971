// `npm run torture -- [--seed N] [--only NAME,…] [--rounds N]`: long campaigns against runspec in throw-away hosts.
// Prints the seed, then a line a campaign; ends with 1 when a fault was not survived or something was left.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Campaign, Tally } from './campaign.ts';
import { CAMPAIGNS, PEERS } from './campaigns.ts';
import { createRandom } from './random.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface Result {
  readonly campaign: Campaign;
  readonly tally: Tally;
  readonly seconds: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      only: { type: 'string' },
      rounds: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  });
  if (values.list) {
    for (const { name, title } of CAMPAIGNS) console.log(`${name.padEnd(20)} ${title}`);
    return 0;
  }
  if (process.getuid?.() !== 0) throw new Error('the campaigns need root');
  const seed = wholeNumber('--seed', values.seed) ?? Math.floor(Math.random() * 2 ** 32);
  const rounds = wholeNumber('--rounds', values.rounds);
  const campaigns = choose(values.only);
  console.log(`seed ${seed}`);
  build();
  const results: Result[] = [];
  for (const campaign of campaigns) {
    const result = await play(campaign, seed, rounds);
    results.push(result);
    console.log(render(result));
  }
  const bad = results.filter(({ tally }) => tally.failures.length + tally.residue.length > 0);
  for (const { campaign, tally } of bad) {
    console.log(`\n${campaign.name}:`);
    for (const line of [...tally.failures, ...tally.residue]) console.log(`  ${line}`);
    console.log(`  again: npm run torture -- --seed ${seed} --only ${campaign.name}`);
  }
  return bad.length === 0 ? 0 : 1;
}

function choose(only: string | undefined): readonly Campaign[] {
  if (only === undefined) return CAMPAIGNS;
  const chosen = only.split(',').flatMap((name) => {
    const found = [...CAMPAIGNS, ...PEERS].filter(
      (campaign) => campaign.name === name || campaign.name.startsWith(`${name}-`),
    );
    if (found.length === 0) throw new Error(`no campaign ${name}; --list names them`);
    return found;
  });
  return [...new Set(chosen)];
}

async function play(campaign: Campaign, seed: number, rounds: number | undefined): Promise<Result> {
  const started = performance.now();
  const say = (text: string): void => void process.stderr.write(`${campaign.name}: ${text}\n`);
  const tally = await campaign.run({
    random: createRandom(seed, campaign.name),
    rounds: rounds ?? campaign.rounds,
    say,
  });
  return { campaign, tally, seconds: Math.round((performance.now() - started) / 1000) };
}

function render({ campaign, tally, seconds }: Result): string {
  const { faults, survived, residue, counts } = tally;
  const more = Object.entries(counts).map(([what, number]) => `, ${what} ${number}`);
  return `${campaign.name.padEnd(20)} faults ${faults}, survived ${survived}, residue ${residue.length}${more.join('')}  ${seconds} s`;
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new Error(`${name} takes a whole number, not ${text}`);
  return Number(text);
}

function build(): void {
  const { status } = spawnSync(process.execPath, [path.join(ROOT, 'scripts/build.mjs')], {
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('runspec does not build');
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`torture: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

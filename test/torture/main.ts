// `npm run torture`: long campaigns against runspec in throw-away hosts. Prints the seed, then a line a campaign; ends with 1
// when a fault was not survived or something was left. docs/reliability.md tells the options.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openLedger, type Campaign } from './campaign.ts';
import { CAMPAIGNS, FOREIGN, PEERS } from './campaigns.ts';
import { createRandom } from './random.ts';
import { writeReport, type Result } from './report.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      only: { type: 'string' },
      rounds: { type: 'string' },
      jobs: { type: 'string' },
      list: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
    },
  });
  if (values.list) {
    for (const { name, title } of [...CAMPAIGNS, ...PEERS]) console.log(`${name.padEnd(20)} ${title}`);
    return 0;
  }
  if (process.getuid?.() !== 0) throw new Error('the campaigns need root');
  const seed = wholeNumber('--seed', values.seed) ?? Math.floor(Math.random() * 2 ** 32);
  const rounds = wholeNumber('--rounds', values.rounds);
  const campaigns = choose(values.only);
  console.log(`seed ${seed}`);
  build();
  const results: Result[] = [];
  const began = performance.now();
  const report = (): void => {
    const minutes = Math.round((performance.now() - began) / 60_000);
    if (values.report) writeReport({ seed, minutes, own: CAMPAIGNS, peers: PEERS, results });
  };
  const once = async (campaign: Campaign): Promise<void> => {
    const result = await play(campaign, seed, rounds);
    console.log(render(result));
    results.push(result);
    // After each: a run that ends before its time has written what it measured.
    report();
  };
  report();
  // The peers are measured beside all this, so that the machine is the same for everyone.
  const jobs = wholeNumber('--jobs', values.jobs) ?? 1;
  const measuring = Promise.all(values.report ? PEERS.map(once) : []);
  await inTurn(campaigns, jobs, once);
  await measuring;
  const bad = results.filter(({ campaign, tally, broken }) => {
    const left = FOREIGN.includes(campaign) ? 0 : tally.failures.length + tally.residue.length;
    return broken !== undefined || left > 0;
  });
  for (const { campaign, tally, broken } of bad) {
    console.log(`\n${campaign.name}:`);
    const lines = [...(broken === undefined ? [] : [broken]), ...tally.failures, ...tally.residue];
    for (const line of lines) console.log(`  ${line}`);
    console.log(`  again: npm run torture -- --seed ${seed} --only ${campaign.name}`);
  }
  return bad.length === 0 ? 0 : 1;
}

/** At most `jobs` at a time: each campaign has hosts of its own. */
async function inTurn<T>(list: readonly T[], jobs: number, work: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...list];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: Math.max(1, jobs) }, worker));
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

/** One that cannot go on does not take the others with it: what it had entered until then counts. */
async function play(campaign: Campaign, seed: number, asked: number | undefined): Promise<Result> {
  const started = performance.now();
  const say = (text: string): void => void process.stderr.write(`${campaign.name}: ${text}\n`);
  const rounds = asked ?? campaign.rounds;
  const ledger = openLedger({ say });
  let broken: string | undefined;
  try {
    await campaign.run({ random: createRandom(seed, campaign.name), rounds, ledger, say });
  } catch (error) {
    broken = error instanceof Error ? error.message : String(error);
    say(`broken off: ${broken}`);
  }
  const seconds = Math.round((performance.now() - started) / 1000);
  return { campaign, rounds, tally: ledger.tally(), seconds, ...(broken === undefined ? {} : { broken }) };
}

function render({ campaign, tally, seconds, broken }: Result): string {
  if (broken !== undefined) return `${campaign.name.padEnd(20)} broken off: ${broken}`;
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

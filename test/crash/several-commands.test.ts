// Whole calls for several containers at once, whose steps mingle: changes fail, SIGINT comes, or runspec is killed, at places
// spread over the call, and with concurrent calls of the host in more than one order.
import { describe, expect, it } from 'vitest';
import { createRehearsal, LAYER, type Rehearsal } from '../support/rehearsal.ts';
import { SCENES, type Scene } from './scenes.ts';
import { difference } from './walk.ts';
import { applyOf, downOf, runspec, type Circumstances, type Outcome } from './whole-calls.ts';

/** At how many places of a scene each thing is tried, spread evenly: at all of them it would take minutes. */
const PLACES = { failures: 50, interrupts: 40, kills: 24 };

const up = applyOf('/all.yaml');
const allAway = downOf();

interface Stage {
  readonly rehearsal: Rehearsal;
  /** Before anything was applied. */
  readonly clean: readonly string[];
  /** Before the call. */
  readonly before: readonly string[];
  /** After the whole call. */
  readonly after: readonly string[];
  /** Changes and reads of the whole call. */
  readonly calls: number;
  readonly changes: number;
  /** Brings back what was before the call. */
  readonly reset: () => void;
}

async function prepare({ given, work, seeds: [seed] }: Scene): Promise<Stage> {
  const rehearsal = createRehearsal({ '/all.yaml': given ?? work, [`${LAYER}/data/.keep`]: '' });
  const { machine } = rehearsal;
  const clean = withoutSpecs(rehearsal);
  const apply = async (): Promise<Outcome> => {
    const outcome = await runspec(rehearsal, up, { seed });
    expect(outcome).toMatchObject({ end: 'done' });
    return outcome;
  };
  if (given !== undefined) await apply();
  machine.files.put('/all.yaml', work, { mode: 0o755 });
  const before = comparable(machine.dump());
  const reset = rehearsal.keep();
  const { gate } = await apply();
  const after = comparable(machine.dump());
  return { rehearsal, clean, before, after, calls: gate.calls, changes: gate.count, reset };
}

const withoutSpecs = ({ machine }: Pick<Rehearsal, 'machine'>): readonly string[] =>
  machine.dump().filter((line) => !line.startsWith('/all.yaml '));

/** Without what is another at each try: what a process is called by, and records with the clock or such names in them. */
function comparable(lines: readonly string[]): readonly string[] {
  return lines
    .filter((line) => !UNSTABLE.test(line))
    .map((line) => line.replaceAll(PID, 'PID').replaceAll(NAMESPACE, '$1:[N]'));
}

/** As test/support/fake/processes.ts counts them. */
const PID = /\b2\d{5}\b/g;
const NAMESPACE = /\b(\w+):\[5\d{5}\]/g;

/** spec.json saves work and may be missing. What walk.ts says of links that were made anew is so here, too. */
const UNSTABLE =
  /^\/var\/lib\/runspec\/(shared\.json|containers\/\w+\/(process|plan|spec|bundle\/config)\.json) |^\/proc\/sys\/net\/ipv4\/conf\/(rs\w+|runspec0|br[01])\/(forwarding|promote_secondaries) /;

/** Places in a call that has `total` of them, each with a seed of the scene. */
function* spread({ seeds }: Scene, places: number, total: number): Generator<{ at: number; seed: number }> {
  const stride = Math.max(1, total / places);
  for (let turn = 1; turn * stride <= total; turn += 1)
    yield { at: Math.floor(turn * stride), seed: seeds[turn % seeds.length] ?? 0 };
}

/** @returns what differs from what is to be after the call, and after a `down --all`. */
async function tryOnce(stage: Stage, circumstances: Circumstances): Promise<readonly string[]> {
  const { rehearsal, clean, before, after, reset } = stage;
  const { machine } = rehearsal;
  reset();
  const { end, gate, said } = await runspec(rehearsal, up, circumstances);
  const { breakage, interruptAt } = circumstances;
  const change = breakage === undefined ? '' : (gate.changes[breakage.at - 1] ?? '');
  const place =
    breakage === undefined ? `SIGINT at call ${interruptAt}` : `${breakage.how} at ${breakage.at}, ${change}`;
  const what = `${place}: ${end} ${said.join(' ')}`;
  if (end === 'hung') return [what];
  const wrong: string[] = [];
  if (end === 'failed' && LATE.test(change)) {
    const again = await runspec(rehearsal, up);
    wrong.push(...tellEnd(`${what}, again`, again));
    const now = comparable(machine.dump()).filter((line) => !JOURNAL.test(line));
    wrong.push(...tell(`${what}, again`, difference(after, now)));
  } else if (end !== 'killed') {
    const expected = end === 'done' ? after : before;
    wrong.push(...tell(what, difference(expected, comparable(machine.dump()))));
  }
  wrong.push(...tellEnd(`${what}, down`, await runspec(rehearsal, allAway)));
  return [...wrong, ...tell(`${what}, after down`, difference(clean, withoutSpecs(rehearsal)))];
}

/**
 * What comes once all are made. A failure takes back no more than the container whose plan is not recorded, and the same call
 * again goes on from there.
 */
const LATE =
  /^(replace .*\/(plan\.json|volumes\/\.\w+)|unlink .*\/(pending\.json|journal\.jsonl|\.lock)|remove tree .*\/volumes\/\.\w+\.new)$/;

/** The steps of a plan that is recorded: nobody reads them any more, and the next change begins a new one. */
const JOURNAL = /^\/var\/lib\/runspec\/containers\/\w+\/journal\.jsonl /;

function tellEnd(what: string, { end, said }: Outcome): readonly string[] {
  return end === 'done' ? [] : [`${what}: ${end} ${said.join(' ')}`];
}

/** One line for each try: the first few differences say enough. */
function tell(what: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [];
  const some = lines.slice(0, 4).map((line) => line.slice(0, 120));
  return [
    `${what.slice(0, 400)}: ${some.join(' | ')}${lines.length > 4 ? ` and ${lines.length - 4} more` : ''}`,
  ];
}

// By %s, as $name would be cut short.
describe.each(SCENES.map((scene) => [scene.name, scene] as const))('%s', (_, scene) => {
  it('is rolled back, or finished by the next call, when a change fails; and down --all takes all', async () => {
    const stage = await prepare(scene);
    const wrong: string[] = [];
    for (const { at, seed } of spread(scene, PLACES.failures, stage.changes))
      wrong.push(...(await tryOnce(stage, { breakage: { at, how: 'fail' }, seed })));
    expect(wrong).toEqual([]);
  });

  it('is rolled back when SIGINT comes, and down --all takes all', async () => {
    const stage = await prepare(scene);
    const wrong: string[] = [];
    for (const { at, seed } of spread(scene, PLACES.interrupts, stage.calls))
      wrong.push(...(await tryOnce(stage, { interruptAt: at, seed })));
    expect(wrong).toEqual([]);
  });

  it('leaves nothing after a kill and a down --all', async () => {
    const stage = await prepare(scene);
    const wrong: string[] = [];
    for (const { at, seed } of spread(scene, PLACES.kills, stage.changes))
      wrong.push(...(await tryOnce(stage, { breakage: { at, how: 'die' }, seed })));
    expect(wrong).toEqual([]);
  });
});

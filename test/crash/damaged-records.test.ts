// A record that is cut at any byte, or a byte of which is another, while the container is up or was just being
// made: down, gc and apply go on from what is left of it, and leave nothing.
import { describe, expect, it } from 'vitest';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, dataDir, down, gc, ps, runspec } from './one-runspec.ts';
import { planOf } from './plans.ts';

const web = planOf('web', '10.209.0.2', 8080);
const db = planOf('db', '10.209.0.3', 5432);
const folder = `${dataDir}/containers/web`;
const clean = new Set(createFakeMachine().dump());

async function up(): Promise<FakeMachine> {
  const machine = createFakeMachine();
  expect((await runspec(machine, apply(web, db))).error).toBeUndefined();
  return machine;
}

/** Killed when most is made. */
async function halfUp(): Promise<FakeMachine> {
  const machine = createFakeMachine();
  const { gate } = await runspec(createFakeMachine(), apply(web));
  await runspec(machine, apply(web), { at: Math.floor(gate.count * 0.9), how: 'die' });
  return machine;
}

const FILES: readonly (readonly [string, () => Promise<FakeMachine>])[] = [
  [`${folder}/plan.json`, up],
  [`${dataDir}/shared.json`, up],
  [`${folder}/pending.json`, halfUp],
  [`${folder}/journal.jsonl`, halfUp],
];

/** Garbage comes every so many bytes: a prime, so that no pattern of the text is followed. */
const STRIDE = 127;

const everyone = ['web', 'db'];

describe.each(FILES)('%s', (file, prepare) => {
  async function begin(): Promise<{ machine: FakeMachine; restore: () => void; whole: string }> {
    const machine = await prepare();
    const whole = machine.files.read(file) ?? '';
    expect(whole.length).toBeGreaterThan(100);
    return { machine, restore: machine.keep(), whole };
  }

  /** @returns what went wrong when `work` met the text in the place of the record, and `down` came after. */
  async function meet(machine: FakeMachine, text: string, work: Work): Promise<readonly string[]> {
    machine.files.put(file, text, { mode: 0o600 });
    const { error } = await runspec(machine, work);
    const left = error === undefined ? [] : [(error as Error).message];
    const after = (await runspec(machine, down(...everyone))).error;
    if (after !== undefined) left.push(`down after it: ${(after as Error).message}`);
    const dump = new Set(machine.dump());
    const residue = [...dump].filter((line) => !clean.has(line));
    const lost = [...clean].filter((line) => !dump.has(line));
    return [...left, ...[...residue, ...lost].slice(0, 3)];
  }

  it('cut at any byte, or with a byte changed, is not read as anything else', async () => {
    const { machine, whole } = await begin();
    const cut = Array.from(whole, (_, at) => whole.slice(0, at));
    const changed = cut.flatMap((before, at) =>
      at % 5 === 0 ? [`${before}${String.fromCharCode(whole.charCodeAt(at) ^ 1)}${whole.slice(at + 1)}`] : [],
    );
    const texts = [...cut, ...changed];
    const told = await tell(machine);
    const wrong = new Set<string>();
    for (const text of texts) {
      machine.files.put(file, text, { mode: 0o600 });
      for (const line of await tell(machine)) if (!told.includes(line)) wrong.add(line);
    }
    expect([...wrong]).toEqual([]);
  });

  it('cut at every seventh byte leaves nothing, whatever comes next', async () => {
    const { machine, restore, whole } = await begin();
    const works: readonly Work[] = [down(...everyone), apply(web), gc, ps];
    const left: string[] = [];
    for (let at = 0; at < whole.length; at += 7) {
      restore();
      // Seven and four have no common factor: each meets every kind of place.
      const lines = await meet(machine, whole.slice(0, at), works[at % works.length] ?? ps);
      left.push(...lines.map((line) => `at ${at}: ${line}`));
    }
    expect(left).toEqual([]);
  });

  it('with a byte of garbage leaves nothing', async () => {
    const { machine, restore, whole } = await begin();
    const left: string[] = [];
    for (let at = 0; at < whole.length; at += STRIDE) {
      for (const work of [down(...everyone), apply(web), gc]) {
        restore();
        const lines = await meet(machine, `${whole.slice(0, at)}\0${whole.slice(at + 1)}`, work);
        left.push(...lines.map((line) => `at ${at}: ${line}`));
      }
    }
    expect(left).toEqual([]);
  });
});

type Work = Parameters<typeof runspec>[1];

/** What the records say to whoever reads them: plans, former values, things that are shared; a line for each. */
async function tell(machine: FakeMachine): Promise<readonly string[]> {
  const lines: string[] = [];
  const { error } = await runspec(machine, async ({ records, shared }) => {
    const { record, faults } = await records.look('web');
    for (const { kind } of faults) lines.push(kind);
    for (const plan of [record?.applied, record?.pending])
      if (plan !== undefined) lines.push(JSON.stringify(plan));
    for (const [step, before] of Object.entries(record?.before ?? {}))
      lines.push(`${step} ${JSON.stringify(before)}`);
    for (const step of shared.steps)
      lines.push(`shared ${JSON.stringify(step)} ${JSON.stringify(shared.before(step.id))}`);
  });
  if (error !== undefined) lines.push((error as Error).message);
  return lines.filter((line) => line !== 'unreadable');
}

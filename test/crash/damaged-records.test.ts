// A record that is cut at any byte, or a byte of which is another, while the container is up or was just being
// made: down, gc and apply go on from what is left of it, and leave nothing.
import { describe, expect, it } from 'vitest';
import { createFakeMachine, type FakeMachine } from '../support/fake/machine.ts';
import { apply, dataDir, down, gc, runspec } from './one-runspec.ts';
import { planOf } from './plans.ts';

const web = planOf('web', '10.209.0.2', 8080);
const db = planOf('db', '10.209.0.3', 5432);
const folder = `${dataDir}/containers/web`;
const clean = createFakeMachine().dump();

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

/** Every so many bytes: a prime, so that no pattern of the text is followed. */
const STRIDE = 127;

describe.each(FILES)('%s', (file, prepare) => {
  const everyone = ['web', 'db'];

  async function damage(change: (text: string, at: number) => string): Promise<readonly string[]> {
    const length = (await prepare()).files.read(file)?.length ?? 0;
    expect(length).toBeGreaterThan(100);
    const left: string[] = [];
    for (let at = 0; at < length; at += STRIDE) {
      for (const [way, work] of [
        ['down', down(...everyone)],
        ['apply', apply(web)],
        ['gc', gc],
      ] as const) {
        const machine = await prepare();
        machine.files.put(file, change(machine.files.read(file) ?? '', at), { mode: 0o600 });
        const { error } = await runspec(machine, work);
        if (error !== undefined) left.push(`at ${at}, ${way}: ${(error as Error).message}`);
        const after = (await runspec(machine, down(...everyone))).error;
        if (after !== undefined) left.push(`at ${at}, down after ${way}: ${(after as Error).message}`);
        const dump = machine.dump();
        const residue = dump.filter((line) => !clean.includes(line));
        const lost = clean.filter((line) => !dump.includes(line));
        if (residue.length + lost.length > 0)
          left.push(`at ${at}, ${way}: ${[...residue, ...lost].slice(0, 3).join(' | ')}`);
      }
    }
    return left;
  }

  it('cut short leaves nothing', async () => {
    expect(await damage((text, at) => text.slice(0, at))).toEqual([]);
  });

  it('with a byte of garbage leaves nothing', async () => {
    expect(await damage((text, at) => `${text.slice(0, at)}\0${text.slice(at + 1)}`)).toEqual([]);
  });
});

// Walks a scenario: every change in it fails once, and is the last of a killed runspec once. Afterwards the
// machine must be as it was: at once after a failure, after one `down` after a kill.
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import type { Session } from '../../src/run/session.ts';
import type { FakeMachine } from '../support/fake/machine.ts';
import { apply, dataDir, down, gc, runspec } from './one-runspec.ts';

export interface Scenario {
  readonly name: string;
  /** What is up before. */
  readonly given: readonly Plan[];
  readonly work: (session: Session) => Promise<void>;
  /** A failure brings back what was before: an apply. */
  readonly rollsBack: boolean;
  readonly isOfSeveral?: true;
}

const everyone = ['web', 'db'];

/** Declares the tests of each scenario, on machines that `create` makes. */
export function walk(scenarios: readonly Scenario[], create: () => FakeMachine): void {
  async function prepare(given: readonly Plan[]): Promise<FakeMachine> {
    const machine = create();
    const { end } = given.length === 0 ? { end: 'done' } : await runspec(machine, apply(...given));
    expect(end).toBe('done');
    return machine;
  }

  const clean = create().dump();

  async function countChanges({ given, work }: Scenario): Promise<number> {
    const { gate, error } = await runspec(await prepare(given), work);
    expect(error).toBeUndefined();
    return gate.count;
  }

  describe.each(scenarios)('$name', (scenario) => {
    it('is clean without a failure: a second time nothing changes, and down takes all', async () => {
      const machine = await prepare(scenario.given);
      expect((await runspec(machine, scenario.work)).error).toBeUndefined();
      const after = machine.dump();
      expect((await runspec(machine, scenario.work)).error).toBeUndefined();
      expect(difference(after, machine.dump())).toEqual([]);
      expect((await runspec(machine, down(...everyone))).error).toBeUndefined();
      expect(difference(clean, machine.dump())).toEqual([]);
    });

    it('leaves nothing when any one change is the last before a kill, after down', async () => {
      const total = await countChanges(scenario);
      const left: string[] = [];
      for (let at = 1; at <= total; at += 1) {
        const machine = await prepare(scenario.given);
        const { gate, end } = await runspec(machine, scenario.work, { at, how: 'die' });
        expect(end).toBe('killed');
        const { error } = await runspec(machine, down(...everyone));
        if (error !== undefined) left.push(`killed in ${gate.changes.at(-1)}: down says ${show(error)}`);
        left.push(...tell(`killed in ${gate.changes.at(-1)}`, difference(clean, machine.dump())));
      }
      expect(left).toEqual([]);
    });

    it('leaves nothing when the records are lost after a kill at any change, after gc', async () => {
      const total = await countChanges(scenario);
      const left: string[] = [];
      for (const lost of [['containers'], ['containers', 'shared.json']]) {
        for (let at = 1; at <= total; at += 1) {
          const machine = await prepare(scenario.given);
          const { gate } = await runspec(machine, scenario.work, { at, how: 'die' });
          for (const name of lost) machine.files.drop(`${dataDir}/${name}`);
          const { error } = await runspec(machine, gc);
          const when = `killed in ${gate.changes.at(-1)}, without ${lost.join(' and ')}`;
          if (error !== undefined) left.push(`${when}: gc says ${show(error)}`);
          const isTold = (line: string): boolean => lost.length === 1 || !UNKNOWABLE.test(line);
          left.push(...tell(when, difference(clean.filter(isTold), machine.dump().filter(isTold))));
        }
      }
      expect(left).toEqual([]);
    });

    it('leaves nothing when gc itself is killed at any change, after another gc', async () => {
      const broken = async (): Promise<FakeMachine> => {
        const machine = await prepare(scenario.given);
        await runspec(machine, scenario.work);
        machine.files.drop(`${dataDir}/containers`);
        return machine;
      };
      const total = (await runspec(await broken(), gc)).gate.count;
      const left: string[] = [];
      for (let at = 1; at <= total; at += 1) {
        for (const how of ['die', 'fail'] as const) {
          const machine = await broken();
          const { gate } = await runspec(machine, gc, { at, how });
          const { error } = await runspec(machine, gc);
          const when = `${how} in ${gate.changes[at - 1]}`;
          if (error !== undefined) left.push(`${when}: gc says ${show(error)}`);
          left.push(...tell(when, difference(clean, machine.dump())));
        }
      }
      expect(left).toEqual([]);
    });

    it('goes on from where any kill left it, when called again', async () => {
      const total = await countChanges(scenario);
      const whole = await prepare(scenario.given);
      await runspec(whole, scenario.work);
      const left: string[] = [];
      for (let at = 1; at <= total; at += 1) {
        const machine = await prepare(scenario.given);
        const { gate } = await runspec(machine, scenario.work, { at, how: 'die' });
        const { error } = await runspec(machine, scenario.work);
        if (error !== undefined) left.push(`killed in ${gate.changes.at(-1)}: ${show(error)}`);
        left.push(
          ...tell(`killed in ${gate.changes.at(-1)}`, difference(comparable(whole), comparable(machine))),
        );
        await runspec(machine, down(...everyone));
        left.push(...tell(`killed in ${gate.changes.at(-1)}, after down`, difference(clean, machine.dump())));
      }
      expect(left).toEqual([]);
    });

    it('says so when any one change fails, and leaves nothing after down', async () => {
      const total = await countChanges(scenario);
      const whole = await prepare(scenario.given);
      await runspec(whole, scenario.work);
      const left: string[] = [];
      for (let at = 1; at <= total; at += 1) {
        const machine = await prepare(scenario.given);
        const before = machine.dump();
        const { gate, end } = await runspec(machine, scenario.work, { at, how: 'fail' });
        const what = `${gate.changes[at - 1]} failed`;
        if (end === 'done') {
          // A change may be tried again in another way; then all of it is there.
          left.push(
            ...tell(`${what}, and nothing was said`, difference(comparable(whole), comparable(machine))),
          );
        } else if (
          scenario.rollsBack &&
          !HOUSEKEEPING.test(what) &&
          !(scenario.isOfSeveral && LAST_OF_EACH.test(what))
        ) {
          left.push(...tell(what, difference(before.filter(isStable), machine.dump().filter(isStable))));
        }
        const { error } = await runspec(machine, down(...everyone));
        if (error !== undefined) left.push(`${what}: down says ${show(error)}`);
        left.push(...tell(`${what}, after down`, difference(clean, machine.dump())));
      }
      expect(left).toEqual([]);
    });
  });
}

/** Compares without the noise of what is equal. */
export function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  const [had, has] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}

/** What is done when the plan is applied and stored: too late to take it back. */
const HOUSEKEEPING = /^unlink .*(pending\.json|journal\.jsonl|\.lock)/;

/** Of several containers, all of which are made: from here on each stands for itself. */
const LAST_OF_EACH = /^replace .*plan\.json/;

/**
 * What only records tell: what a sysctl was before, who made the mount that `ip netns add` makes as well, and
 * whose a bridge is that a kill has left without its alias.
 */
const UNKNOWABLE =
  /ip_forward|forwarding|accept_redirects|lan0\/(accept_ra|route_localnet)|\/run\/netns|conf\/runspec0|"name":"runspec0","kind"/;

/**
 * Links that were made anew have other sysctls before, and what was before them is noted anew. A link of ours that has
 * promoted an address may do so again.
 */
export const isStable = (line: string): boolean =>
  !/^(?:[-+] )?(\/var\/lib\/runspec\/shared\.json|\/proc\/sys\/net\/ipv4\/conf\/(rs\w+|runspec0)\/(forwarding|promote_secondaries)) /.test(
    line,
  );

function show(error: unknown): string {
  return error instanceof Error ? error.message : JSON.stringify(error);
}

/** One line for what a single breakage left: the first few say enough. */
function tell(when: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [];
  return [
    `${when}: ${lines.slice(0, 3).join(' | ')}${lines.length > 3 ? ` and ${lines.length - 3} more` : ''}`,
  ];
}

/** Without the records, whose clock has gone on. */
function comparable(machine: FakeMachine): readonly string[] {
  return machine
    .dump()
    .filter((line) => !/^\/var\/lib\/runspec\/(containers\/\w+\/\w+\.json|shared\.json)/.test(line));
}

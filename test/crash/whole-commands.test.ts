// The commands themselves, from the spec to a running process: every change that they make fails once, and is the last of a
// killed runspec once. Here are the steps that plans of other tests of this tier lack: bundle, mount points, process.
import { describe, expect, it } from 'vitest';
import { createRehearsal, SPEC, type Rehearsal } from '../support/rehearsal.ts';
import { difference } from './walk.ts';
import { applyOf, downOf, gcOf, runspec } from './whole-calls.ts';

const up = applyOf('/web.yaml');
/** The same container with a writable layer that is kept. */
const upKept = applyOf('/kept.yaml');
const kept = { '/kept.yaml': `${SPEC}writable: persistent\n` };
const away = downOf('web');
const allAway = downOf();

/** What is removed when its work is done, and by the next call when that fails. */
const HOUSEKEEPING =
  /^(unlink .*\/(\.lock|pending\.json|journal\.jsonl)|remove tree .*\/volumes\/\.(new\.|web\.new)\S*) failed/;

describe('an apply from its spec on', () => {
  it('is rolled back, or done, whichever change fails', async () => {
    const { gate } = await runspec(createRehearsal(), up);
    expect(gate.count).toBeGreaterThan(60);
    const left: string[] = [];
    for (let at = 1; at <= gate.count; at += 1) {
      const rehearsal = createRehearsal();
      const { machine } = rehearsal;
      const before = machine.dump();
      const { end, said, gate: broken } = await runspec(rehearsal, up, { breakage: { at, how: 'fail' } });
      const what = `${broken.changes[at - 1]} failed, ${end}, ${said.join(' ')}`;
      if (end === 'failed' && !HOUSEKEEPING.test(what))
        left.push(...difference(before, machine.dump()).map((line) => `${what}: ${line}`));
      const after = await runspec(rehearsal, away);
      if (after.end !== 'done') left.push(`${what}: down: ${after.said.join(' ')}`);
      left.push(...difference(before, machine.dump()).map((line) => `${what}, after down: ${line}`));
    }
    expect(left.map((line) => line.slice(0, 300))).toEqual([]);
  });

  it.each([
    ['apply', 'down', up, [away]],
    ['apply', 'down --all', up, [allAway]],
    ['apply', 'gc and down', up, [gcOf, away]],
    ['apply of a kept layer', 'down', upKept, [away]],
    ['apply of a kept layer', 'gc and down', upKept, [gcOf, away]],
    ['down', 'down', away, [away]],
  ] as const)(
    'that is killed in %s leaves nothing after a %s, whichever change is the last',
    async (_, __, command, next) => {
      const start = async (): Promise<Rehearsal> => {
        const rehearsal = createRehearsal(kept);
        if (command === away) await runspec(rehearsal, up);
        return rehearsal;
      };
      const clean = createRehearsal(kept).machine.dump();
      const { gate } = await runspec(await start(), command);
      const left: string[] = [];
      for (let at = 1; at <= gate.count; at += 1) {
        const rehearsal = await start();
        const { end, gate: broken } = await runspec(rehearsal, command, { breakage: { at, how: 'die' } });
        expect(end).toBe('killed');
        const what = `killed in ${broken.changes[at - 1]}`;
        for (const one of next) {
          const after = await runspec(rehearsal, one);
          if (after.end !== 'done') left.push(`${what}: afterwards: ${after.said.join(' ')}`);
        }
        left.push(
          ...difference(clean, rehearsal.machine.dump()).map((line) => `${what}, after down: ${line}`),
        );
      }
      expect(left.map((line) => line.slice(0, 300))).toEqual([]);
    },
  );
});

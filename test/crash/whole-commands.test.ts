// The commands themselves, from the spec to a running process: every change that they make fails once, and is the last of a
// killed runspec once. Here are the steps that plans of other tests of this tier lack: bundle, mount points, process.
import { describe, expect, it } from 'vitest';
import { apply } from '../../src/commands/apply.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { down } from '../../src/commands/down.ts';
import type { Archives } from '../../src/host/archives.ts';
import type { Host } from '../../src/host/host.ts';
import { createGate, type Breakage, type Gate } from '../support/fake/gate.ts';
import { createRehearsal, type Rehearsal } from '../support/rehearsal.ts';
import { difference } from './walk.ts';

interface Outcome {
  readonly gate: Gate;
  readonly end: 'done' | 'failed' | 'killed';
  readonly said: readonly string[];
}

type Command = (context: CommandContext) => Promise<number>;

const up: Command = (context) => apply(context, ['/web.yaml'], { keepOnFailure: false });
const away: Command = (context) =>
  down(context, ['web'], { all: false, volumes: true, prove: false, abandoned: false });
const allAway: Command = (context) =>
  down(context, [], { all: true, volumes: true, prove: false, abandoned: false });

async function runspec({ makeHost }: Rehearsal, command: Command, breakage?: Breakage): Promise<Outcome> {
  const gate = createGate(breakage);
  const said: string[] = [];
  const finished = command(contextOf(makeHost(gate), said)).then(
    (): Outcome => ({ gate, end: 'done', said }),
    (error: unknown): Outcome => ({ gate, end: 'failed', said: [...said, String(error)] }),
  );
  return Promise.race([finished, gate.died.then((): Outcome => ({ gate, end: 'killed', said }))]);
}

function contextOf(host: Host, said: string[]): CommandContext {
  const nobody = new AbortController().signal;
  return {
    host,
    archives: {} as Archives,
    packing: () => Promise.reject(new Error('nothing is packed')),
    stateDir: '/run/runspec',
    dataDir: '/var/lib/runspec',
    lockTimeout: 0,
    isRoot: true,
    build: 'test',
    environment: {},
    self: ['runspec'],
    workingDirectory: '/',
    json: false,
    quiet: true,
    verbose: false,
    color: false,
    colorOfData: false,
    signal: nobody,
    onSignal: () => () => undefined,
    stdout: () => undefined,
    stderr: (line) => void said.push(line),
    stdoutBytes: () => Promise.resolve(),
    stderrBytes: () => Promise.resolve(),
    unread: { stdout: nobody, stderr: nobody },
    columns: () => 80,
    stdinIsTerminal: false,
    consoleSize: () => undefined,
    stdin: () => Promise.resolve(new Uint8Array()),
    pipe: () => Promise.resolve(new Uint8Array()),
    input: () => undefined,
  };
}

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
      const { end, said, gate: broken } = await runspec(rehearsal, up, { at, how: 'fail' });
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
    ['apply', 'down', up, away],
    ['apply', 'down --all', up, allAway],
    ['down', 'down', away, away],
  ] as const)(
    'that is killed in %s leaves nothing after a %s, whichever change is the last',
    async (_, __, command, next) => {
      const start = async (): Promise<Rehearsal> => {
        const rehearsal = createRehearsal();
        if (command === away) await runspec(rehearsal, up);
        return rehearsal;
      };
      const clean = createRehearsal().machine.dump();
      const { gate } = await runspec(await start(), command);
      const left: string[] = [];
      for (let at = 1; at <= gate.count; at += 1) {
        const rehearsal = await start();
        const { end, gate: broken } = await runspec(rehearsal, command, { at, how: 'die' });
        expect(end).toBe('killed');
        const what = `killed in ${broken.changes[at - 1]}`;
        const after = await runspec(rehearsal, next);
        if (after.end !== 'done') left.push(`${what}: down: ${after.said.join(' ')}`);
        left.push(
          ...difference(clean, rehearsal.machine.dump()).map((line) => `${what}, after down: ${line}`),
        );
      }
      expect(left.map((line) => line.slice(0, 300))).toEqual([]);
    },
  );
});

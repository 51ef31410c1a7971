// One call of runspec on a fake machine, from its files on: to its end, its death, or to where it hangs.
import { apply } from '../../src/commands/apply.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { down } from '../../src/commands/down.ts';
import { gc } from '../../src/commands/gc.ts';
import type { Archives } from '../../src/host/archives.ts';
import type { Host } from '../../src/host/host.ts';
import { createGate, type Breakage, type Gate } from '../support/fake/gate.ts';
import { withJitter } from '../support/fake/jitter.ts';
import type { Rehearsal } from '../support/rehearsal.ts';

export interface Outcome {
  readonly gate: Gate;
  readonly end: 'done' | 'failed' | 'killed' | 'hung';
  readonly said: readonly string[];
}

export interface Circumstances {
  readonly breakage?: Breakage | undefined;
  /** SIGINT comes before that call of the host, be it a change or a read. */
  readonly interruptAt?: number | undefined;
  /** Of the order in which concurrent calls of the host come; 0 is that in which they are made. */
  readonly seed?: number | undefined;
}

type Command = (context: CommandContext) => Promise<number>;

export const applyOf =
  (file: string): Command =>
  (context) =>
    apply(context, [file], { keepOnFailure: false });

/** @param names of the containers; all when there is none. */
export const downOf =
  (...names: readonly string[]): Command =>
  (context) =>
    down(context, names, { all: names.length === 0, volumes: true, prove: false, abandoned: false });

export const gcOf: Command = (context) => gc(context, { dryRun: false });

/** What a call on the fake machine takes is a fraction of a second: nothing there waits for a clock. */
const HANGS_AFTER_MS = 20_000;

export async function runspec(
  { makeHost, machine }: Rehearsal,
  command: Command,
  { breakage, interruptAt, seed = 0 }: Circumstances = {},
): Promise<Outcome> {
  const signals = new AbortController();
  const interrupt = async (): Promise<void> => signals.abort('SIGINT');
  const gate = createGate(
    interruptAt === undefined ? breakage : { at: interruptAt, how: 'wait', meanwhile: interrupt },
  );
  const said: string[] = [];
  const shaken = withJitter(gate, seed);
  const archives: Partial<Archives> = {
    sync: async () => undefined,
    copy: (_, folder) => shaken.pass(`copy to ${folder}`, () => machine.files.put(`${folder}/.keep`, '')),
  };
  const context = contextOf(makeHost(shaken), archives as Archives, signals.signal, said);
  const finished = command(context).then(
    (): Outcome => ({ gate, end: 'done', said }),
    (error: unknown): Outcome => ({ gate, end: 'failed', said: [...said, tell(error)] }),
  );
  let clock: NodeJS.Timeout | undefined;
  const hung = new Promise<Outcome>((resolve) => {
    clock = setTimeout(() => resolve({ gate, end: 'hung', said }), HANGS_AFTER_MS);
  });
  const died = gate.died.then((): Outcome => ({ gate, end: 'killed', said }));
  return Promise.race([finished, died, hung]).finally(() => clearTimeout(clock));
}

/** With what is in it: the failures of several containers. */
function tell(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { failures = [], cleanup = [] } = error as { failures?: Error[]; cleanup?: Error[] };
  return [String(error), ...failures.map(tell), ...cleanup.map((one) => `clean-up: ${tell(one)}`)].join('; ');
}

function contextOf(host: Host, archives: Archives, signal: AbortSignal, said: string[]): CommandContext {
  const nobody = new AbortController().signal;
  return {
    host,
    archives,
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
    signal,
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

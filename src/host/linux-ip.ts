// Commands of ip(8), handed to one ip for each network namespace that reads them from a pipe: every start of a program
// takes this process 3 ms, and ip itself as long again. It stops at the first command that fails, as a batch does.
import { spawn, type ChildProcess } from 'node:child_process';
import { netnsFile } from '../names.ts';
import type { CommandResult, RunOptions } from './host.ts';
import { childEnvironment, ending } from './linux-commands.ts';

export interface IpSessions {
  /** Undefined for what has to be a process of its own. */
  run(argv: readonly string[], options?: RunOptions): Promise<CommandResult> | undefined;
  /** Ends those that wait for more, and waits for their end. */
  close(): Promise<void>;
}

/**
 * Put behind every request: once ip prints this, the request is done. There is a lo in every namespace. Not of `link`,
 * which first tries whether the kernel knows a change of links.
 */
const DONE = 'addr show dev lo';

const IDLE_MS = 1000;

/** After this long without an answer it may be no ip that listens but a script in its place that reads to the end first. */
const PATIENCE_MS = 1000;

/** One namespace's requests, one after the other. */
interface Lane {
  last: Promise<unknown>;
  session?: Session | undefined;
  idle?: NodeJS.Timeout;
}

export function createIpSessions(): IpSessions {
  const lanes = new Map<string, Lane>();
  const living = new Set<Promise<unknown>>();
  // Whether it is known that nothing is answered before the end of what it reads.
  let isDeaf = false;
  const begin = (lane: Lane, netns: string): Session => {
    const session = startSession(netns);
    lane.session = session;
    living.add(session.over);
    void session.over.then(() => {
      living.delete(session.over);
      if (lane.session === session) lane.session = undefined;
    });
    return session;
  };
  const retire = (lane: Lane): void => {
    clearTimeout(lane.idle);
    lane.session?.end();
    lane.session = undefined;
  };
  return {
    run(argv, options = {}) {
      if (argv[0] !== 'ip') return undefined;
      const request = parse(argv, options);
      if (request === undefined) {
        // An ip remembers links by their names, and would look for one that another has removed.
        lanes.forEach(retire);
        return undefined;
      }
      const { netns, lines } = request;
      const lane = lanes.get(netns) ?? { last: Promise.resolve() };
      lanes.set(netns, lane);
      const result = lane.last.then(async (): Promise<CommandResult> => {
        clearTimeout(lane.idle);
        const asked = (lane.session ?? begin(lane, netns)).ask(lines);
        const giveUp = (): void => {
          isDeaf = true;
          retire(lane);
        };
        const patience = setTimeout(giveUp, PATIENCE_MS);
        if (isDeaf) retire(lane);
        const answer = await asked;
        clearTimeout(patience);
        lane.idle = setTimeout(retire, IDLE_MS, lane);
        return { argv, ...answer };
      });
      lane.last = result;
      return result;
    },
    async close() {
      lanes.forEach(retire);
      await Promise.all(living);
    },
  };
}

/** The commands in an argv, if they only read, add and set, in words that need no quotes. */
function parse(
  argv: readonly string[],
  { stdin, ...others }: RunOptions,
): { readonly netns: string; readonly lines: readonly string[] } | undefined {
  const words = argv.slice(1);
  const netns = words[0] === '-n' ? (words.splice(0, 2)[1] ?? '') : '';
  while (words[0] === '-j' || words[0] === '-d') words.shift();
  const isBatch = words.join(' ') === '-batch -';
  const lines = isBatch ? (stdin ?? '').split('\n').filter((line) => line !== '') : [words.join(' ')];
  const isFit = lines.every((line) => FIT.test(line));
  return isFit && lines.length > 0 && Object.keys(others).length === 0 ? { netns, lines } : undefined;
}

/** `netns exec` here is of an ip alone, which ends at once; ip starts it far quicker than this process does. */
const FIT =
  /^(?:(?:link|addr|route) (?:add|set|replace|show)|netns add|netns exec [\w.-]+ ip link set)\b[^"'\\#]*$/;

interface Session {
  /** One request at a time. */
  ask(lines: readonly string[]): Promise<Omit<CommandResult, 'argv'>>;
  /** What was asked is still done. */
  end(): void;
  readonly over: Promise<unknown>;
}

function startSession(netns: string): Session {
  const args = ['-d', '-j', '-batch', '-'];
  // Not by `ip -n`, which holds a copy of all mounts while it lives.
  const enter = [`--net=${netnsFile(netns)}`, 'ip', ...args];
  const program = netns === '' ? 'ip' : 'nsenter';
  // In a session of its own: a Ctrl-C is for runspec, which has a way back to go.
  // Without any streams when no descriptor is left for them.
  const child: ChildProcess = spawn(program, netns === '' ? args : enter, {
    stdio: 'pipe',
    detached: true,
    env: childEnvironment(),
  });
  const over = ending(child, program);
  let [stdout, stderr] = ['', ''];
  let listen = (): void => undefined;
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
    listen();
  });
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  // Of an ip that has failed the end of the process tells.
  child.stdin?.on('error', () => undefined);
  return {
    over,
    end: () => void child.stdin?.end(),
    async ask(lines) {
      [stdout, stderr] = ['', ''];
      const answers = lines.filter((line) => line.split(' ')[1] === 'show').length;
      const done = new Promise<undefined>((resolve) => {
        // With -j every answer is one line.
        listen = () => {
          if (stdout.split('\n').length - 1 > answers) resolve(undefined);
        };
      });
      child.stdin?.write(`${[...lines, DONE].join('\n')}\n`);
      const end = await Promise.race([done, over]);
      if (end !== undefined)
        return {
          status: end.status,
          stdout,
          stderr: `${stderr.replace(/^Command failed -:\d+\n/m, '')}${end.note}`,
        };
      const printed = stdout.split('\n').slice(0, answers);
      return { status: 0, stdout: printed.map((line) => `${line}\n`).join(''), stderr };
    },
  };
}

// Sessions of ip(8): one ip for each network namespace reads commands from a pipe, because every start of a program
// takes this process 3 ms, and ip itself as long again. A session ends at the first command that fails, as a batch
// does.
import { spawn, type ChildProcess } from 'node:child_process';
import { netnsFile } from '../names.ts';
import type { CommandResult, RunOptions } from './host.ts';
import { childEnvironment, ending } from './linux-commands.ts';

export interface IpSessions {
  /** Runs an ip command in a session; undefined for a command that has to be a process of its own. */
  run(argv: readonly string[], options?: RunOptions): Promise<CommandResult> | undefined;
  /** Ends all sessions and waits for the end of their processes. */
  close(): Promise<void>;
}

/**
 * Command put behind every request: once ip answers it, the request is done. Every namespace has a lo. `addr show` and
 * not `link show`, because `ip link` first tries whether the kernel knows a change of links.
 */
const DONE = 'addr show dev lo';

const IDLE_MS = 1000;

/** Wait for an answer after which the program may be no ip but a script in its place, which reads to the end first. */
const PATIENCE_MS = 1000;

/** Requests to one namespace, one after the other. */
interface Lane {
  last: Promise<unknown>;
  session?: Session | undefined;
  idle?: NodeJS.Timeout;
}

export function createIpSessions(): IpSessions {
  const lanes = new Map<string, Lane>();
  const living = new Set<Promise<unknown>>();
  // True once a request got no answer in time: from then on the input is closed behind each request.
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
        // End all sessions: ip remembers links by their names, and would look for one that this command removes.
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

/** Commands of an argv; undefined unless they only read, add and set, in words that need no quotes. */
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

/**
 * Commands that fit a session. `netns exec` only of a single ip, which ends at once: ip starts it far quicker than this
 * process does.
 */
const FIT =
  /^(?:(?:link|addr|route) (?:add|set|replace|show)|netns add|netns exec [\w.-]+ ip link set)\b[^"'\\#]*$/;

interface Session {
  /** Sends commands and waits for their answers; one request at a time. */
  ask(lines: readonly string[]): Promise<Omit<CommandResult, 'argv'>>;
  /** Closes the input; commands already sent are still done. */
  end(): void;
  readonly over: Promise<unknown>;
}

function startSession(netns: string): Session {
  const args = ['-d', '-j', '-batch', '-'];
  // nsenter and not `ip -n`, which holds a copy of all mounts while it lives.
  const enter = [`--net=${netnsFile(netns)}`, 'ip', ...args];
  const program = netns === '' ? 'ip' : 'nsenter';
  // A new session keeps a Ctrl-C from ip: runspec still has to undo what was begun. The streams are absent when no
  // descriptor is left for them.
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
  // Errors of the pipe are ignored: the end of the process tells of an ip that has failed.
  child.stdin?.on('error', () => undefined);
  return {
    over,
    end: () => void child.stdin?.end(),
    async ask(lines) {
      [stdout, stderr] = ['', ''];
      const answers = lines.filter((line) => line.split(' ')[1] === 'show').length;
      const done = new Promise<undefined>((resolve) => {
        // With -j ip prints every answer as one line.
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

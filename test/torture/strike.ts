// One kill -9 in the middle of a command: of the tool itself, of it with all it has started, or of one of those alone.
import type { Started, TestHost } from '../support/test-host.ts';
import { sleep } from './campaign.ts';
import { commandOf, descendants, hasEnded, pidNamespace, signal } from './processes.ts';
import type { Random } from './random.ts';

export type Victims = 'tool' | 'tree' | 'child';

export interface Strike {
  /** What was killed, for people; undefined when the command had ended before. */
  readonly killed: string | undefined;
  /** Of the command, when it was left alive. */
  readonly status: number | null;
  /** It did not end within PATIENCE_MS. */
  readonly hung: boolean;
  readonly written: string;
}

/** How long a command may take that has lost a child. */
const PATIENCE_MS = 30_000;

export interface Aim {
  readonly random: Random;
  readonly victims: Victims;
  /** Milliseconds. */
  readonly within: number;
  /** Pid of the tool when it is a daemon and not the command itself. */
  readonly target?: number;
  /** Counts the milliseconds from when it has a child of such a name, which is also whom `child` hits. */
  readonly once?: RegExp;
}

/**
 * Starts a command and kills within its first `within` milliseconds. Containers' own processes are spared: they end
 * when they like, and that is no fault of the tool.
 */
export async function strike(
  host: TestHost,
  start: () => Promise<Started>,
  { random, victims, within, target, once }: Aim,
): Promise<Strike> {
  // What was there before is not its, but a daemon's own.
  const known = new Set(descendants(host.pid));
  const choice = random.fraction();
  const moment = Math.round(random.fraction() * within);
  const started = await start();
  const own = pidNamespace(host.pid);
  const tool = target ?? started.pid;
  const family = (): readonly number[] => {
    const come = [...descendants(started.pid), ...descendants(host.pid)].filter((pid) => !known.has(pid));
    const all = new Set([...descendants(tool), ...come]);
    return [...all].filter((pid) => pid !== started.pid && pid !== tool && pidNamespace(pid) === own);
  };
  const isAimedAt = (pid: number): boolean => once === undefined || once.test(commandOf(pid));
  while (once !== undefined && !hasEnded(started.pid) && !family().some(isAimedAt)) await sleep(1);
  await sleep(moment);
  const names: string[] = [];
  const kill = (pid: number): void => {
    const name = commandOf(pid);
    if (signal(pid, 'SIGKILL')) names.push(name);
  };
  if (victims === 'child') {
    while (!hasEnded(started.pid) && names.length === 0) {
      const children = family().filter(isAimedAt);
      const child = children[Math.floor(choice * children.length)];
      if (child !== undefined) kill(child);
      else await sleep(1);
    }
  } else {
    const children = victims === 'tree' ? family() : [];
    if (!hasEnded(started.pid)) kill(tool);
    // Those that came meanwhile too: a tree that is killed as a whole leaves nobody.
    for (const pid of names.length === 0
      ? []
      : new Set([...children, ...(victims === 'tree' ? family() : [])]))
      kill(pid);
  }
  const ended = await Promise.race([started.ended, sleepFor(PATIENCE_MS)]);
  if (ended === undefined) signal(started.pid, 'SIGKILL');
  const killed = names.length === 0 ? undefined : `${names.join('+')} at ${moment} ms`;
  return {
    killed,
    status: ended?.status ?? null,
    hung: ended === undefined,
    written:
      ended === undefined ? `${started.written()}\nit still ran after ${PATIENCE_MS} ms` : started.written(),
  };
}

async function sleepFor(milliseconds: number): Promise<undefined> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
  return undefined;
}

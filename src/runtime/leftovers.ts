// Impatience: after a signal that asks a process to end, runspec stops waiting for what the process has left behind.
import type { Child, Host } from '../host/host.ts';
import { ENDING } from './default-action.ts';
import { type ProcessIdentity, isAlive, waitUntil } from './proc.ts';

/** Time from the end of the process to that of its runtime. runc stays for as long as somebody holds its pipes. */
const LAST_WORDS_MS = 1000;

type Ended = Awaited<Child['exited']>;

export interface Impatience {
  /** To be called for each signal; only signals that ask for an end count. */
  hear(signal: NodeJS.Signals): void;
  /** Resolves with the signal that asked for the end, when the process is gone and the runtime does not follow. */
  readonly ended: Promise<Ended>;
}

/**
 * @param found the process, when the runtime has started it.
 * @param over says whether the wait has ended otherwise.
 */
export function createImpatience(
  host: Host,
  found: Promise<ProcessIdentity | undefined>,
  over: { readonly seen: boolean },
): Impatience {
  let hear: Impatience['hear'] = () => undefined;
  const ended = new Promise<Ended>((resolve, reject) => {
    let isAsked = false;
    const wait = async (signal: NodeJS.Signals): Promise<void> => {
      const process = await found;
      const isGone = async (): Promise<boolean> => process === undefined || !(await isAlive(host, process));
      await waitUntil(host, Number.POSITIVE_INFINITY, async () => over.seen || (await isGone()));
      if (!(await waitUntil(host, LAST_WORDS_MS, async () => over.seen)))
        resolve({ status: undefined, signal });
    };
    hear = (signal) => {
      if (isAsked || !ENDING.has(signal)) return;
      isAsked = true;
      wait(signal).catch(reject);
    };
  });
  return { hear: (signal) => hear(signal), ended };
}

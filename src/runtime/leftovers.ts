// Not waiting any longer, once a signal was to end it, for what a process has left behind.
import type { Child, Host } from '../host/host.ts';
import { type ProcessIdentity, isAlive } from './proc.ts';

/** Others are news to the process that it may go on after. */
const ENDING: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']);

/** How long a runtime may take from the end of its process to its own. runc stays for as long as somebody holds its pipes. */
const LAST_WORDS_MS = 1000;
const LONGEST_PAUSE_MS = 100;

type Ended = Awaited<Child['exited']>;

export interface Impatience {
  /** To be called for each signal. */
  hear(signal: NodeJS.Signals): void;
  /** Resolves with such a signal when the process is gone and the runtime does not follow. */
  readonly ended: Promise<Ended>;
}

/**
 * @param found the process, when the runtime has started it.
 * @param over whether nothing is waited for any more.
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
      for (let pause = 5; !over.seen && process !== undefined && (await isAlive(host, process));) {
        await host.sleep(pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
      // In short turns: a sleep that nobody needs any more keeps runspec from ending.
      for (let waited = 0; !over.seen && waited < LAST_WORDS_MS; waited += 20) await host.sleep(20);
      if (!over.seen) resolve({ status: undefined, signal });
    };
    hear = (signal) => {
      if (isAsked || !ENDING.has(signal)) return;
      isAsked = true;
      wait(signal).catch(reject);
    };
  });
  return { hear: (signal) => hear(signal), ended };
}

// The time that a process has to end by itself. People are told what is waited for, and need not wait: who asks once more
// for an end, having been told what that does, has the process killed, as with Compose. The rest goes on as after the full
// time, so that nothing is left half done.
import type { Host } from '../host/host.ts';
import type { ProcessStep } from '../plan/plan.ts';
import { ENDING } from './default-action.ts';
import type { SignalSource } from './exec-process.ts';
import { waitUntil } from './proc.ts';

/** After which people are told what is waited for. */
const PATIENCE_MS = 2000;

/** What comes within it is one wish: timeout(1) sends its signal to the process, and then to the group that it is in. */
const ONE_WISH_MS = 1000;

export interface Waiting {
  /** Signals to runspec. */
  readonly signals: SignalSource;
  /** A line for people, where the process takes its time. */
  tell(text: string): void;
}

/** Resolves when the process has ended, its time is over, or nobody wants to wait for it any longer. */
export async function awaitEnd(
  host: Host,
  { stopSignal, stopTimeout }: Pick<ProcessStep, 'stopSignal' | 'stopTimeout'>,
  hasEnded: () => Promise<boolean>,
  { signals, tell }: Waiting,
): Promise<void> {
  const end = host.monotonic() + stopTimeout;
  let wishedAt: number | undefined;
  let isCutShort = false;
  const hear = (signal: NodeJS.Signals): void => {
    // A terminal that is closed (SIGHUP) asks for nothing twice, and nobody has read what the second time does.
    if (!ENDING.has(signal) || signal === 'SIGHUP' || isCutShort) return;
    const now = host.monotonic();
    if (wishedAt === undefined) {
      wishedAt = now;
      const left = Math.max(1, Math.ceil((end - now) / 1000));
      tell(`has ${left} s left to end after ${stopSignal}: Ctrl-C or SIGTERM once more kills it now`);
    } else if (now - wishedAt >= ONE_WISH_MS) {
      isCutShort = true;
      tell(`is killed after another ${signal}`);
    }
  };
  const stop = signals.onSignal(hear);
  // It has come before this process was waited for.
  if (signals.signal.aborted) hear(signals.signal.reason as NodeJS.Signals);
  try {
    const isOver = async (): Promise<boolean> => isCutShort || (await hasEnded());
    const patience = Math.min(PATIENCE_MS, stopTimeout);
    if ((await waitUntil(host, patience, isOver)) || stopTimeout <= patience) return;
    if (wishedAt === undefined)
      tell(`has ${stopTimeout / 1000} s to end after ${stopSignal}, then it is killed`);
    await waitUntil(host, stopTimeout - patience, isOver);
  } finally {
    stop();
  }
}

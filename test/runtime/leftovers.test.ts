import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { createImpatience } from '../../src/runtime/leftovers.ts';
import { createFixtureHost } from '../host/fixture-host.ts';

const PROCESS = { pid: 7, startTime: '100' };
const STAT = `7 (sh) S ${'0 '.repeat(18)}100 0`;

/** What is given up for these signals when the process lives for `life` milliseconds and the runtime for `runtime`. */
async function heard(signals: readonly NodeJS.Signals[], life: number, runtime: number): Promise<unknown> {
  let time = 0;
  const over = { seen: false };
  let finish = (): void => undefined;
  const finished = new Promise<string>((resolve) => (finish = () => resolve('waited')));
  const host: Host = {
    ...createFixtureHost({}),
    readText: async (file) => (file === '/proc/7/stat' && time < life ? STAT : undefined),
    monotonic: () => time,
    sleep: async (milliseconds) => {
      time += milliseconds;
      if (time < runtime || over.seen) return;
      over.seen = true;
      finish();
    },
  };
  const { hear, ended } = createImpatience(host, Promise.resolve(PROCESS), over);
  signals.forEach((signal) => hear(signal));
  const silent = new Promise((resolve) => setImmediate(() => resolve('nothing')));
  return Promise.race([ended, finished, silent]);
}

it('gives a runtime up that stays when its process is gone, once a signal has come', async () => {
  expect(await heard(['SIGTERM'], 0, 60_000)).toEqual({ status: undefined, signal: 'SIGTERM' });
  expect(await heard(['SIGHUP', 'SIGINT'], 5_000, 60_000)).toEqual({ status: undefined, signal: 'SIGHUP' });
});

it('waits for a process that goes on, and for a runtime that has yet to tell its status', async () => {
  expect(await heard(['SIGTERM'], 60_000, 50_000)).toBe('waited');
  expect(await heard(['SIGTERM'], 500, 900)).toBe('waited');
});

it('takes no other signal for the wish to end', async () => {
  expect(await heard(['SIGUSR1'], 0, 60_000)).toBe('nothing');
});

// The time that a process has to end, and who does not want to wait for it.
import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { awaitEnd } from '../../src/runtime/await-end.ts';
import { createFixtureHost } from '../host/fixture-host.ts';

type Sent = readonly (readonly [milliseconds: number, signal: NodeJS.Signals])[];

const LEFT = (seconds: number): string =>
  `has ${seconds} s left to end after SIGTERM: Ctrl-C or SIGTERM once more kills it now`;
const ALL = 'has 600 s to end after SIGTERM, then it is killed';

/** Of a process that ends by itself after `life` milliseconds and has ten minutes: for how long it is waited for. */
async function wait(life: number, sent: Sent, earlier?: NodeJS.Signals): Promise<unknown> {
  let time = 0;
  const told: string[] = [];
  const listeners = new Set<(signal: NodeJS.Signals) => void>();
  const left = [...sent];
  const host: Host = {
    ...createFixtureHost({}),
    monotonic: () => time,
    sleep: async (milliseconds) => {
      time += milliseconds;
      while (left[0] !== undefined && left[0][0] <= time) {
        const [, signal] = left.shift() as Sent[number];
        for (const listener of listeners) listener(signal);
      }
    },
  };
  const signals = {
    signal: earlier === undefined ? new AbortController().signal : AbortSignal.abort(earlier),
    onSignal: (listener: (signal: NodeJS.Signals) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const waiting = { signals, tell: (text: string) => void told.push(text) };
  await awaitEnd(host, { stopSignal: 'SIGTERM', stopTimeout: 600_000 }, async () => time >= life, waiting);
  expect(listeners.size).toBe(0);
  return { seconds: Math.floor(time / 1000), told };
}

it('is over when the process has ended, or has not in time', async () => {
  expect(await wait(500, [])).toEqual({ seconds: 0, told: [] });
  expect(await wait(5000, [])).toEqual({ seconds: 5, told: [ALL] });
  expect(await wait(Infinity, [])).toEqual({ seconds: 600, told: [ALL] });
});

it('is told of at a signal, and over at the next', async () => {
  expect(await wait(Infinity, [[10_000, 'SIGINT']])).toEqual({ seconds: 600, told: [ALL, LEFT(590)] });
  const twice = await wait(Infinity, [
    [10_000, 'SIGINT'],
    [15_000, 'SIGTERM'],
    [15_001, 'SIGTERM'],
  ]);
  expect(twice).toEqual({ seconds: 15, told: [ALL, LEFT(590), 'is killed after another SIGTERM'] });
});

it('takes what comes at once for one wish, as timeout(1) sends it', async () => {
  const sent: Sent = [
    [10_000, 'SIGTERM'],
    [10_002, 'SIGTERM'],
  ];
  expect(await wait(20_000, sent)).toEqual({ seconds: 20, told: [ALL, LEFT(590)] });
});

it('says what is waited for when a signal had come before', async () => {
  expect(await wait(Infinity, [[3000, 'SIGINT']], 'SIGINT')).toEqual({
    seconds: 3,
    told: [LEFT(600), 'is killed after another SIGINT'],
  });
});

it('is not cut short by a terminal that is closed, nor by what asks for no end', async () => {
  const sent: Sent = [
    [3000, 'SIGINT'],
    [6000, 'SIGHUP'],
    [9000, 'SIGUSR1'],
  ];
  expect(await wait(20_000, sent)).toEqual({ seconds: 20, told: [ALL, LEFT(597)] });
});

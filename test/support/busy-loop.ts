// How much of a CPU a container gets that wants all of it.
import { expect } from 'vitest';
import { cpuSeconds, inside } from './containers.ts';
import type { TestHost } from './test-host.ts';

/**
 * The share of one CPU that a busy loop in the container has, its other processes included; those end with it. A
 * machine with much else to do gives less than the limit allows: then it is measured again, up to ten times.
 */
export async function shareOfBusyLoop(host: TestHost, name: string, atLeast: number): Promise<number> {
  const script = 'echo busy; while :; do :; done';
  const busy = await host.startRunspec('exec', name, '--', 'sh', '-c', script);
  await expect.poll(busy.written, { timeout: 20_000 }).toContain('busy');
  let share = 0;
  for (let tries = 0; tries < 10 && share < atLeast; tries++) {
    const [start, before] = [performance.now(), await cpuSeconds(host, name)];
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const [end, after] = [performance.now(), await cpuSeconds(host, name)];
    share = (after - before) / ((end - start) / 1000);
  }
  await inside(host, name)(['sh', '-c', 'kill -9 -1']);
  await busy.ended;
  return share;
}

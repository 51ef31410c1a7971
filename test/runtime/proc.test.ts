import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { createLinuxHost } from '../../src/host/linux.ts';
import { findLivingTask, isDoomed, readIdentity, readProcFile, waitUntil } from '../../src/runtime/proc.ts';

const failing = (code: string): Host =>
  ({ readText: () => Promise.reject(Object.assign(new Error(code), { code })) }) as unknown as Host;

it.each(['ESRCH', 'ENODEV', 'EINVAL'])(
  'takes %s for a process or a cgroup that went meanwhile',
  async (code) => {
    expect(await readProcFile(failing(code), '/sys/fs/cgroup/web/cgroup.procs')).toBeUndefined();
  },
);

it('sees nothing of a zombie, whose mounts the kernel refuses to show', async () => {
  const child = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 100']);
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const path = `/proc/${chunk.toString().trim()}/mountinfo`;
  try {
    await expect.poll(() => readProcFile(createLinuxHost(), path), { timeout: 10_000 }).toBeUndefined();
  } finally {
    child.kill('SIGKILL');
  }
});

it.each([
  ['S', 1, true],
  ['Z', 1, false],
  ['Z', 3, true],
  ['X', 1, false],
])('takes a process in state %s with %i threads for alive: %s', async (state, threads, isThere) => {
  const fields = [state, ...Array.from({ length: 16 }, () => '0'), threads, '0', '4711'];
  const showing = { readText: async () => `7 (a) b) ${fields.join(' ')} 0\n` } as unknown as Host;
  expect(await readIdentity(showing, 7)).toEqual(isThere ? { pid: 7, startTime: '4711' } : undefined);
});

it.each([
  [{ 7: 'S' }, 7],
  [{ 7: 'Z', 8: 'X', 9: 'S' }, 9],
  [{ 7: 'Z', 8: 'Z' }, undefined],
  [{}, undefined],
])(
  'finds a thread that lives where the first one has ended: %j',
  async (states: Record<string, string>, found) => {
    const host = {
      readText: async (path: string) => {
        const state = states[path.split('/')[2] ?? ''];
        return state === undefined ? undefined : `7 (a) b) ${state} 1 2 3\n`;
      },
      list: async () => Object.keys(states),
    } as unknown as Host;
    expect(await findLivingTask(host, 7)).toBe(found);
  },
);

it.each([
  ['ahead', 3_600_000],
  ['back', -3_600_000],
])('waits as long as it was told to, also when the clock is set %s meanwhile', async (_, jump) => {
  const clock = { wall: 1_700_000_000_000, waited: 0 };
  const host = {
    now: () => clock.wall,
    monotonic: () => clock.waited,
    sleep: async (milliseconds: number) => {
      if (clock.waited === 0) clock.wall += jump;
      clock.wall += milliseconds;
      clock.waited += milliseconds;
      if (clock.waited > 10_000) throw new Error('it waits for ever');
    },
  } as unknown as Host;
  expect(await waitUntil(host, 8000, async () => clock.waited >= 2000)).toBe(true);
  expect(await waitUntil(host, 1000, async () => false)).toBe(false);
  expect(clock.waited).toBeLessThan(3100);
});

it('passes on what else went wrong', async () => {
  await expect(readProcFile(failing('EACCES'), '/proc/1/stat')).rejects.toThrow('EACCES');
});

/** Of /proc/PID/stat from field 3 on: PF_EXITING is 4 of the flags, SIGKILL 256 of the pending signals. */
function thread(state: string, flags: number, pending: number, threads = 1): string {
  const zeros = (count: number): string => '0 '.repeat(count);
  return `7 (a) b) ${state} ${zeros(5)}${flags} ${zeros(10)}${threads} ${zeros(10)}${pending} 0\n`;
}
const RUNS = thread('S', 0x400100, 0);

it.each([
  ['runs', RUNS, {}, false],
  ['is gone', undefined, {}, false],
  ['has other signals to hear', thread('S', 0, 0x4002), {}, false],
  ['has been killed, and is frozen', thread('D', 0, 256), {}, true],
  ['waits for all others of its namespace at its end', thread('S', 0x40050c, 0), {}, true],
  ['goes on in another thread', thread('Z', 0x40050c, 0, 2), { 7: thread('Z', 4, 0, 2), 8: RUNS }, false],
  ['ends in all threads', thread('Z', 4, 0, 2), { 7: thread('Z', 4, 0, 2), 8: thread('D', 4, 0, 2) }, true],
])('tells whether a process ends that %s', async (_, first, threads: Record<string, string>, expected) => {
  const host = {
    readText: async (path: string) => threads[path.split('/')[2] ?? ''] ?? first,
    list: async () => Object.keys(threads),
  } as unknown as Host;
  expect(await isDoomed(host, 7)).toBe(expected);
});

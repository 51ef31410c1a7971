// The order in which a container's processes are killed.
import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import type { MountState } from '../../src/host/kernel-view.ts';
import type { ProcessStep } from '../../src/plan/plan.ts';
import { stopProcess } from '../../src/runtime/stop.ts';
import { createFixtureHost } from '../host/fixture-host.ts';

const MOUNTS = [{ type: 'cgroup2', target: '/sys/fs/cgroup', superOptions: 'rw' }] as unknown as MountState[];
const STEP = { container: 'web', records: '/c', bundle: '/c/bundle', runtimeRoot: '/r', cgroup: '/web' };
const stat = (pid: number): string => `${pid} (sh) S ${'0 '.repeat(16)}1 0 ${pid}00 ${'0 '.repeat(20)}`;

it('begins with the init, so that a kill of runspec leaves nothing that counts as up', async () => {
  const init = { pid: 7, startTime: '700' };
  const record = { version: 1, container: 'web', bootId: 'b', init, startedAt: 1, launch: {} };
  const files: Record<string, string> = {
    '/proc/sys/kernel/random/boot_id': 'b\n',
    '/c/process.json': JSON.stringify(record),
    '/sys/fs/cgroup/web/cgroup.freeze': '0\n',
  };
  const alive = new Set([5, 7, 9]);
  const done: string[] = [];
  let time = 0;
  const read = async (path: string): Promise<string | undefined> => {
    if (path === '/sys/fs/cgroup/web/cgroup.procs') return [...alive].join('\n');
    const pid = Number(/^\/proc\/(\d+)\/stat$/.exec(path)?.[1]);
    return alive.has(pid) ? stat(pid) : files[path];
  };
  const host: Host = {
    ...createFixtureHost({ files }),
    readText: read,
    monotonic: () => time,
    sleep: async (milliseconds) => void (time += milliseconds),
    writeInPlace: async (file, text) => void done.push(`${text} to ${file}`),
    removeTree: async () => false,
    removeFile: async () => false,
    removeDirectory: async () => false,
    kill: async (pid, signal) => {
      done.push(`${signal} to ${pid}`);
      return alive.delete(pid);
    },
  };
  const step = { ...STEP, runtime: { name: 'runc', path: '/usr/sbin/runc' } } as unknown as ProcessStep;
  expect(await stopProcess(host, step, MOUNTS)).toBe(true);
  expect(done).toEqual([
    'SIGKILL to 7',
    '1 to /sys/fs/cgroup/web/cgroup.freeze',
    'SIGKILL to 5',
    'SIGKILL to 9',
    '0 to /sys/fs/cgroup/web/cgroup.freeze',
  ]);
});

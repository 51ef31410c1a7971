// Killing what is in a cgroup, while somebody else removes it.
import { expect, test } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { killProcesses } from '../../src/runtime/cgroup-processes.ts';

test.each(['ENOENT', 'ENODEV'])(
  'a cgroup that goes (%s) before it is paused takes its processes along',
  async (code) => {
    let members: string | undefined = '41\n';
    const killed: number[] = [];
    const host = {
      readText: () => Promise.resolve(members),
      list: () => Promise.resolve(undefined),
      status: () => Promise.resolve({ type: 'file' }),
      monotonic: () => 0,
      sleep: () => Promise.resolve(),
      kill: (pid: number) => Promise.resolve(void killed.push(pid)),
      writeInPlace: () => {
        members = undefined;
        return Promise.reject(Object.assign(new Error(code), { code }));
      },
    } as unknown as Host;
    const folder = '/sys/fs/cgroup/freezer/runspec/web';
    await killProcesses(host, [{ version: 1, controllers: ['freezer'], folder }], 1000);
    expect(killed).toEqual([]);
  },
);

import { expect, it } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import type { CgroupStep } from '../../src/plan/plan.ts';
import { bringBack } from '../../src/runtime/cgroup-membership.ts';
import { createFixtureHost } from '../host/fixture-host.ts';

const hierarchy = { version: 2, mountpoint: '/sys/fs/cgroup', controllers: [], files: [] } as const;
const step: CgroupStep = {
  id: 'cgroup',
  op: 'cgroup',
  path: '/runspec/web',
  hierarchies: [hierarchy],
  needs: [],
  after: [],
};
const init = { pid: 5, startTime: '1' };

/** Who is moved back, of processes with these parents that are all in the same other cgroup. */
async function moved(parents: Readonly<Record<number, number>>): Promise<readonly string[]> {
  const files = Object.entries(parents).flatMap(([pid, parent]) => [
    [`/proc/${pid}/stat`, `${pid} (a) S ${parent} ${'0 '.repeat(17)}1 0\n`],
    [`/proc/${pid}/cgroup`, '0::/elsewhere\n'],
  ]);
  const written: string[] = [];
  const host: Host = {
    ...createFixtureHost({ files: Object.fromEntries(files) as Record<string, string> }),
    writeInPlace: async (_, text) => void written.push(text),
  };
  await bringBack(host, step, [{ hierarchy, init, found: '/elsewhere' }]);
  return written;
}

it('moves the init and all below it, and nobody else', async () => {
  expect(await moved({ 4: 1, 5: 4, 6: 5, 7: 6, 8: 4 })).toEqual(['6', '7', '5']);
});

it('comes to an end where a number that is used again makes a process its own ancestor', async () => {
  expect(await moved({ 5: 7, 6: 5, 7: 6 })).toEqual(['6', '7', '5']);
});

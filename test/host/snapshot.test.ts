// What of a host is in no picture of it, or makes no difference between two: what comes or goes a moment later by itself.
import { expect, it } from 'vitest';
import { listProcesses } from '../../src/host/snapshot-kernel.ts';
import { diffSnapshots } from '../../src/host/snapshot.ts';
import { createFixtureHost } from './fixture-host.ts';

it('passes over routes of the kernel to addresses of the host, and no others', () => {
  const route = (key: string) => ({ key });
  const own = route('type local dst fe80::1 dev br0 table local protocol kernel metric 0');
  const anycast = route('type anycast dst fe80:: dev br0 table local protocol kernel metric 0');
  const others = [
    route('type local dst 192.0.2.0/24 dev lo table 100 protocol boot scope host'),
    route('dst 192.0.2.0/24 dev br0 protocol kernel scope link'),
  ];
  expect(diffSnapshots({ route: [] }, { route: [own, anycast, ...others] }).map(({ key }) => key)).toEqual(
    others.map(({ key }) => key),
  );
  expect(diffSnapshots({ route: [own] }, { route: [] })).toEqual([]);
});

it('has no process that has ended in a cgroup that is gone', async () => {
  const files = (pid: number, state: string, cgroup: string) => ({
    [`/proc/${pid}/stat`]: `${pid} (conmon) ${state} 1 0 0`,
    [`/proc/${pid}/cmdline`]: '',
    [`/proc/${pid}/cgroup`]: `4:cpu:/\n0::${cgroup}\n`,
  });
  const host = createFixtureHost({
    files: {
      '/proc/self/stat': '7 (node) R 1 0',
      ...files(41, 'Z', '/runspec/web.monitor (deleted)'),
      ...files(42, 'Z', '/runspec/db.monitor'),
    },
  });
  expect(await listProcesses(host)).toEqual([{ key: 'conmon', note: 'pid 42 in /runspec/db.monitor' }]);
});

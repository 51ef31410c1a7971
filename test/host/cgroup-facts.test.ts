import { describe, expect, it } from 'vitest';
import { readCgroups } from '../../src/host/cgroup-facts.ts';
import { createKernelView } from '../../src/host/kernel-view.ts';
import type { CgroupFacts } from '../../src/plan/facts.ts';
import { createFixtureHost, fixture } from './fixture-host.ts';

function read(mountinfo: string, files: Readonly<Record<string, string>>): Promise<CgroupFacts> {
  const host = createFixtureHost({ files: { '/proc/self/mountinfo': mountinfo, ...files } });
  return readCgroups(host, createKernelView(host));
}

const root = '/sys/fs/cgroup';
const procs = (...names: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [`${root}${name}/cgroup.procs`, '']));

describe('the cgroups of a host', () => {
  it('are those of v1, each hierarchy once, without options that are no controllers', async () => {
    const found = await read(fixture('mountinfo-v1.txt'), {
      ...procs('/systemd', '/net_cls,net_prio', '/cpuset', '/memory', '/cpu,cpuacct', '/pids'),
      '/mnt/again/cgroup.procs': '',
      [`${root}/memory/memory.memsw.limit_in_bytes`]: '9223372036854771712\n',
    });
    const hierarchy = (mountpoint: string, controllers: readonly string[], swap = false): object => ({
      version: 1,
      mountpoint: `${root}/${mountpoint}`,
      controllers,
      swap,
    });
    expect(found).toEqual({
      layout: 'v1',
      hierarchies: [
        hierarchy('systemd', ['name=systemd']),
        hierarchy('net_cls,net_prio', ['net_cls', 'net_prio']),
        hierarchy('cpuset', ['cpuset']),
        hierarchy('memory', ['memory'], true),
        hierarchy('cpu,cpuacct', ['cpu', 'cpuacct']),
        hierarchy('pids', ['pids']),
      ],
    });
  });

  it.each([
    ['with swap accounting', true],
    ['without swap accounting', false],
  ])('are that of v2, %s', async (_, swap) => {
    const found = await read(fixture('mountinfo-v2.txt'), {
      ...procs(''),
      [`${root}/cgroup.controllers`]: 'cpuset cpu io memory pids\n',
      [`${root}/system.slice/memory.max`]: 'max\n',
      ...(swap ? { [`${root}/system.slice/memory.swap.max`]: 'max\n' } : {}),
    });
    expect(found).toEqual({
      layout: 'v2',
      hierarchies: [
        { version: 2, mountpoint: root, controllers: ['cpuset', 'cpu', 'io', 'memory', 'pids'], swap },
      ],
    });
  });

  it('are those of both on a hybrid host', async () => {
    const found = await read(fixture('mountinfo-hybrid.txt'), {
      ...procs('/cpu', '/memory', '/blkio', '/systemd', '/unified'),
      [`${root}/unified/cgroup.controllers`]: 'hugetlb\n',
    });
    expect(found.layout).toBe('hybrid');
    expect(found.hierarchies.map(({ version, controllers }) => [version, ...controllers])).toEqual([
      [1, 'cpu'],
      [1, 'memory'],
      [1, 'blkio'],
      [1, 'name=systemd'],
      [2, 'hugetlb'],
    ]);
  });

  it('do not include what another mount covers', async () => {
    const found = await read(fixture('mountinfo-hybrid.txt'), {
      ...procs('/unified'),
      [`${root}/unified/cgroup.controllers`]: '\n',
    });
    expect(found).toEqual({
      layout: 'v2',
      hierarchies: [{ version: 2, mountpoint: `${root}/unified`, controllers: [], swap: false }],
    });
  });

  it('may be none', async () => {
    expect((await read('', {})).hierarchies).toEqual([]);
  });
});

// Limits: equal values in the kernel's spelling, drift by file, and what a changed spec lifts.
import { describe, expect, it } from 'vitest';
import { liftLimits, sameLimit, specPathOf, type LimitFile } from '../../src/ops/cgroup-limits.ts';
import { opOf } from '../../src/ops/index.ts';
import type { CgroupStep } from '../../src/plan/plan.ts';
import { createFakeOps } from './fake-context.ts';
import { STEPS } from './steps.ts';

describe('a limit is the same as what the kernel shows for it', () => {
  it.each([
    ['cpu.max', '10000 100000', '10000 100000', true],
    ['cpu.max', '10000 100000', 'max 100000', false],
    ['cpu.weight', '50', '50', true],
    ['cpu.weight', '50', '100', false],
    ['cpu.shares', '1024', '1024', true],
    ['cpuset.cpus', '0-2,5', '0-2,5', true],
    ['cpuset.cpus', '0-2,5', '0-3', false],
    ['cpuset.cpus', '\n', '', true],
    ['memory.max', '10485761', '10485760', true],
    ['memory.max', '10489856', '10485760', true],
    ['memory.max', '10485760', '10489856', false],
    ['memory.max', '10485760', 'max', false],
    ['memory.max', 'max', 'max', true],
    ['memory.swap.max', '0', '0', true],
    ['memory.swap.max', '0', 'max', false],
    ['memory.limit_in_bytes', '-1', '9223372036854771712', true],
    ['memory.limit_in_bytes', '-1', '10485760', false],
    ['io.max', '8:0 rbps=1048576', '8:0 rbps=1048576 wbps=max riops=max wiops=max', true],
    ['io.max', '8:0 rbps=1048576', '8:16 rbps=1048576 wbps=max riops=max wiops=max', false],
    [
      'io.max',
      '8:0 rbps=1',
      '8:0 rbps=2 wbps=max riops=max wiops=max\n8:16 rbps=1 wbps=max riops=max wiops=max',
      false,
    ],
    ['io.max', '8:0 rbps=1', '', false],
    ['blkio.throttle.read_bps_device', '8:0 1048576', '8:16 5\n8:0 1048576', true],
    ['blkio.throttle.read_bps_device', '8:0 1048576', '8:16 1048576', false],
    ['pids.max', '10', '100', false],
  ])('%s: %j and %j: %j', (name, wanted, found, same) => {
    expect(sameLimit(name, wanted, found)).toBe(same);
  });
});

it.each([
  ['cpu.max', 'cpus'],
  ['cpu.cfs_quota_us', 'cpus'],
  ['cpu.weight', 'cpuWeight'],
  ['cpu.shares', 'cpuWeight'],
  ['cpuset.cpus', 'cpuset'],
  ['memory.max', 'memory'],
  ['memory.limit_in_bytes', 'memory'],
  ['memory.swap.max', 'swap'],
  ['memory.memsw.limit_in_bytes', 'swap'],
  ['pids.max', 'pids'],
  ['io.max', 'io'],
  ['blkio.throttle.read_bps_device', 'io'],
])('%s comes from resources.%s', (name, key) => {
  expect(specPathOf(name)).toEqual(['resources', key]);
});

describe('a limit that is no longer asked for is lifted', () => {
  const lift = (
    former: readonly [string, string][],
    wanted: readonly [string, string][],
  ): readonly LimitFile[] => {
    const files = (pairs: readonly [string, string][]): readonly LimitFile[] =>
      pairs.map(([name, value]) => ({ name, value }));
    return liftLimits(files(former), files(wanted));
  };

  it.each<readonly [string, [string, string][], [string, string][], [string, string][]]>([
    ['nothing', [['cpu.max', '1 2']], [['cpu.max', '3 4']], []],
    ['cpu', [['cpu.max', '10000 100000']], [], [['cpu.max', 'max 100000']]],
    [
      'v1 cpu',
      [
        ['cpu.cfs_period_us', '100000'],
        ['cpu.cfs_quota_us', '1'],
      ],
      [],
      [['cpu.cfs_quota_us', '-1']],
    ],
    [
      'weights',
      [
        ['cpu.weight', '5'],
        ['cpu.shares', '5'],
      ],
      [],
      [
        ['cpu.weight', '100'],
        ['cpu.shares', '1024'],
      ],
    ],
    [
      'memory',
      [
        ['memory.max', '1'],
        ['memory.swap.max', '0'],
      ],
      [],
      [
        ['memory.max', 'max'],
        ['memory.swap.max', 'max'],
      ],
    ],
    ['pids', [['pids.max', '1']], [['memory.max', '1']], [['pids.max', 'max']]],
    ['cpuset', [['cpuset.cpus', '0']], [], [['cpuset.cpus', '']]],
    [
      'one rate of a device',
      [['io.max', '8:0 rbps=1 wbps=2']],
      [['io.max', '8:0 rbps=1']],
      [['io.max', '8:0 wbps=max']],
    ],
    [
      'one device of two',
      [
        ['io.max', '8:0 rbps=1'],
        ['io.max', '8:16 riops=2 wiops=3'],
      ],
      [['io.max', '8:0 rbps=1']],
      [['io.max', '8:16 riops=max wiops=max']],
    ],
    [
      'one device of two on v1',
      [
        ['blkio.throttle.read_bps_device', '8:0 1'],
        ['blkio.throttle.read_bps_device', '8:16 1'],
      ],
      [['blkio.throttle.read_bps_device', '8:0 9']],
      [['blkio.throttle.read_bps_device', '8:16 0']],
    ],
  ])('%s', (_, former, wanted, lifted) => {
    expect(lift(former, wanted)).toEqual(lifted.map(([name, value]) => ({ name, value })));
  });
});

const folder = '/sys/fs/cgroup';

describe('a cgroup', () => {
  it('is made again when a parallel down takes its parent away between two changes', async () => {
    const ops = createFakeOps();
    const context = ops.context();
    let left = 1;
    const writeInPlace = async (file: string, text: string): Promise<void> => {
      if (file === `${folder}/cpuset/runspec/cpuset.cpus` && left > 0) {
        left -= 1;
        ops.machine.files.removeDirectory(`${folder}/cpuset/runspec`);
        throw Object.assign(new Error(`ENODEV: no such device, write '${file}'`), { code: 'ENODEV' });
      }
      await context.host.writeInPlace(file, text);
    };
    await opOf(STEPS.cgroup).apply({ ...context, host: { ...context.host, writeInPlace } }, STEPS.cgroup, {});
    expect(left).toBe(0);
    expect(await ops.probe(STEPS.cgroup)).toMatchObject({ state: 'present' });
  });

  it('names the file, the limit and what is found there instead, and mends it', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.cgroup);
    ops.machine.files.write(`${folder}/unified/runspec/web/pids.max`, '99');
    ops.machine.files.removeDirectory(`${folder}/cpu/runspec/web`);
    expect(await ops.probe(STEPS.cgroup)).toEqual({
      state: 'drifted',
      inPlace: true,
      differences: [
        { property: 'folder', wanted: `${folder}/cpu/runspec/web`, found: 'missing' },
        { property: `${folder}/unified/runspec/web/pids.max`, wanted: '10', found: '99' },
      ],
    });
    await ops.update(STEPS.cgroup);
    expect(await ops.probe(STEPS.cgroup)).toMatchObject({ state: 'present' });
  });

  it('loses limits that the spec no longer asks for', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.cgroup);
    const bare: CgroupStep = {
      ...STEPS.cgroup,
      hierarchies: STEPS.cgroup.hierarchies.map((hierarchy) => ({ ...hierarchy, files: [] })),
    };
    await ops.update(bare, STEPS.cgroup);
    const read = (file: string): string | undefined => ops.machine.files.read(`${folder}/${file}`)?.trim();
    expect(read('cpu/runspec/web/cpu.cfs_quota_us')).toBe('-1');
    expect(read('cpuset/runspec/web/cpuset.cpus')).toBe('0-1');
    expect(read('memory/runspec/web/memory.limit_in_bytes')).toBe('-1');
    expect(read('unified/runspec/web/pids.max')).toBe('max');
  });

  it.each([
    ['grows', '20971520', ['memory.memsw.limit_in_bytes', 'memory.limit_in_bytes']],
    ['shrinks', '8388608', ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes']],
  ])('whose memory %s writes v1 files in the order the kernel takes', async (_, bytes, order) => {
    const ops = createFakeOps();
    const limited = (value: string): CgroupStep => ({
      ...STEPS.cgroup,
      hierarchies: [
        {
          version: 1,
          mountpoint: `${folder}/memory`,
          controllers: ['memory'],
          files: [
            { name: 'memory.limit_in_bytes', value },
            { name: 'memory.memsw.limit_in_bytes', value },
          ],
        },
      ],
    });
    await ops.apply(limited('10485760'));
    const count = ops.changes().length;
    await ops.update(limited(bytes), limited('10485760'));
    expect(ops.changes().slice(count)).toEqual(
      order.map((name) => `write ${folder}/memory/runspec/web/${name}`),
    );
  });

  it('leaves the folder above to the others', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.cgroup);
    await ops.apply({ ...STEPS.cgroup, path: '/runspec/db' });
    expect(await ops.revert(STEPS.cgroup)).toEqual({ outcome: 'removed' });
    expect(ops.machine.files.names(`${folder}/memory/runspec`)).toContain('db');
  });

  it('goes with the cgroups that a runtime made in it', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.cgroup);
    ops.machine.files.makeDirectory(`${folder}/memory/runspec/web/init.scope`);
    expect(await ops.revert(STEPS.cgroup)).toEqual({ outcome: 'removed' });
    expect(ops.machine.files.find(`${folder}/memory/runspec`)).toBeUndefined();
  });

  it('that holds a process names it', async () => {
    const ops = createFakeOps();
    await ops.apply(STEPS.cgroup);
    ops.machine.files.write(`${folder}/cpu/runspec/web/cgroup.procs`, '77');
    await expect(ops.revert(STEPS.cgroup)).rejects.toMatchObject({
      message: `cannot remove the cgroup ${folder}/cpu/runspec/web`,
      hint: 'processes 77 are still in it',
    });
  });
});

describe('a controller', () => {
  it('stays on as long as a cgroup of a runspec with other folders is there', async () => {
    const ops = createFakeOps();
    const clean = ops.machine.dump();
    const before = await ops.apply(STEPS.controller);
    for (const path of ['runspec', 'runspec/other'])
      ops.machine.files.makeDirectory(`${folder}/unified/${path}`);
    expect(await ops.revert(STEPS.controller, before)).toEqual({
      outcome: 'kept',
      reason: 'used by the cgroup /runspec/other',
    });
    expect(await ops.probe(STEPS.controller)).toMatchObject({ state: 'present' });
    for (const path of ['runspec/other', 'runspec'])
      ops.machine.files.removeDirectory(`${folder}/unified/${path}`);
    expect(await ops.revert(STEPS.controller, before)).toEqual({ outcome: 'removed' });
    expect(ops.machine.dump()).toEqual(clean);
  });

  it('that was on before stays on, also when nothing is known of before', async () => {
    const ops = createFakeOps();
    ops.machine.files.write(`${folder}/unified/cgroup.subtree_control`, '+pids');
    const clean = ops.machine.dump();
    const before = await ops.apply(STEPS.controller);
    expect(await ops.revert(STEPS.controller, before)).toMatchObject({ outcome: 'kept' });
    expect(await ops.revert(STEPS.controller)).toMatchObject({ outcome: 'kept' });
    expect(ops.machine.dump()).toEqual(clean);
  });
});

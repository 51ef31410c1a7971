// What a script does to make a cgroup.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { expect, it } from 'vitest';
import { opOf } from '../../src/ops/index.ts';
import type { CgroupStep } from '../../src/plan/plan.ts';
import { makeTree } from '../runtime/scratch-root.ts';
import { STEPS } from './steps.ts';

it('a cgroup is made by a script on v2, whose files are there only with their controllers', () => {
  const step: CgroupStep = {
    ...STEPS.cgroup,
    path: '/runspec/web',
    hierarchies: [
      {
        version: 2,
        mountpoint: '/sys/fs/cgroup',
        controllers: ['memory', 'pids'],
        files: [{ name: 'pids.max', value: '9' }],
      },
    ],
  };
  expect(opOf(step).toShell(step)).toEqual([
    'mkdir -p /sys/fs/cgroup/runspec/web',
    "echo '+memory +pids' > /sys/fs/cgroup/runspec/cgroup.subtree_control",
    'echo 9 > /sys/fs/cgroup/runspec/web/pids.max',
  ]);
});

it('a cpuset of v1 gets what the root has before its limit, and what is set above it stays', () => {
  const mountpoint = makeTree({ 'cpuset.cpus': '0-3', 'cpuset.mems': '0', 'runspec/cpuset.cpus': '0-1' });
  const files = [{ name: 'cpuset.cpus', value: '0' }];
  const step: CgroupStep = {
    ...STEPS.cgroup,
    path: '/runspec/web',
    hierarchies: [{ version: 1, mountpoint, controllers: ['cpuset'], files }],
  };
  execFileSync('sh', ['-euc', opOf(step).toShell(step).join('\n')], { stdio: 'ignore' });
  const found = ['runspec', 'runspec/web'].flatMap((folder) =>
    ['cpuset.cpus', 'cpuset.mems'].map((name) =>
      fs.readFileSync(`${mountpoint}/${folder}/${name}`, 'utf8').trim(),
    ),
  );
  expect(found).toEqual(['0-1', '0', '0', '0']);
});

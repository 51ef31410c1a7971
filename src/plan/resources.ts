// Translates the limits of a spec into files of cgroup v1 and v2, controller by controller.
import type { IoLimit, ResourcesSpec, Spec } from '../load/spec.ts';
import { cgroupOf } from '../names.ts';
import type { CgroupFacts, HostFacts } from './facts.ts';
import type { CgroupHierarchy, CgroupStep, Plan, Step } from './plan.ts';
import type { Problems } from './problems.ts';

/** Period of a CPU quota in microseconds: the kernel's default, and the one in `cpu.max "10000 100000"`. */
const CPU_PERIOD = 100_000;

interface Limit {
  readonly key: keyof ResourcesSpec;
  readonly controller: string;
  readonly files: (version: 1 | 2) => readonly { readonly name: string; readonly value: string }[];
}

type Limits = Omit<ResourcesSpec, 'cpuset'> & { readonly cpuset?: string | undefined };

/**
 * Steps of the cgroup, after those that switch on the v2 controllers. crun and runc switch on every controller there is
 * when they make a cgroup; a step that did it before them can undo it.
 */
export function compileResources(
  spec: Spec,
  facts: HostFacts,
  problems: Problems,
  runtime: Plan['runtime'] | undefined,
): { readonly cgroup: CgroupStep; readonly steps: readonly Step[] } {
  const cgroup = compileCgroup(spec, facts, problems);
  checkPids(cgroup, runtime, problems);
  const controllers = facts.cgroups.hierarchies.flatMap(({ version, mountpoint, controllers: names }) =>
    version === 1
      ? []
      : names.map((controller): Step => ({
          id: `controller:${controller}`,
          op: 'controller',
          mountpoint,
          controller,
          needs: [],
          after: [],
          shared: true,
        })),
  );
  return { cgroup, steps: [...controllers, { ...cgroup, needs: controllers.map((step) => step.id) }] };
}

function compileCgroup(spec: Spec, facts: HostFacts, problems: Problems): CgroupStep {
  const resources = hasCpus(spec.resources, facts, problems)
    ? spec.resources
    : { ...spec.resources, cpuset: undefined };
  const limits = [...limitsOf(resources), ...ioLimits(spec, facts, problems)];
  const files = new Map<string, { name: string; value: string; controller: string }[]>();
  for (const limit of limits) {
    const hierarchy = facts.cgroups.hierarchies.find((one) => one.controllers.includes(limit.controller));
    if (hierarchy === undefined || (limit.key === 'swap' && !hierarchy.swap)) {
      reportMissing(limit, hierarchy !== undefined, facts.cgroups, spec.resources, problems);
      continue;
    }
    const list = files.get(hierarchy.mountpoint) ?? [];
    list.push(...limit.files(hierarchy.version).map((file) => ({ ...file, controller: limit.controller })));
    files.set(hierarchy.mountpoint, list);
  }
  return {
    id: `cgroup:${cgroupOf(spec.name)}`,
    op: 'cgroup',
    path: cgroupOf(spec.name),
    needs: [],
    after: [],
    hierarchies: facts.cgroups.hierarchies.map((hierarchy): CgroupHierarchy => {
      const wanted = files.get(hierarchy.mountpoint) ?? [];
      return {
        version: hierarchy.version,
        mountpoint: hierarchy.mountpoint,
        // v1 controllers are part of the mount; v2 controllers are enabled only for the limits that need them.
        controllers:
          hierarchy.version === 1
            ? hierarchy.controllers
            : [...new Set(wanted.map((file) => file.controller))],
        files: wanted.map(({ name, value }) => ({ name, value })),
      };
    }),
  };
}

/** Threads of runc 1.1, its first processes among them, for a `create`, and for an `exec` as much. */
const LEAST_OF_RUNC = 5;

function checkPids(
  { hierarchies }: CgroupStep,
  runtime: Plan['runtime'] | undefined,
  problems: Problems,
): void {
  const limit = hierarchies.flatMap(({ files }) => files).find(({ name }) => name === 'pids.max');
  if (runtime?.name !== 'runc' || limit === undefined || Number(limit.value) >= LEAST_OF_RUNC) return;
  problems.error(
    'out-of-range',
    ['resources', 'pids'],
    `resources.pids ${limit.value} is less than ${LEAST_OF_RUNC}`,
    `runc needs ${LEAST_OF_RUNC} processes and threads to start one in it`,
  );
}

function limitsOf(resources: Limits): readonly Limit[] {
  const { cpus, cpuWeight, cpuset, memory, swap, pids } = resources;
  const limits: Limit[] = [];
  const add = (key: Limit['key'], controller: string, files: Limit['files']): void => {
    limits.push({ key, controller, files });
  };
  if (cpus !== undefined) {
    const quota = String(Math.round(cpus * CPU_PERIOD));
    add('cpus', 'cpu', (version) =>
      version === 2
        ? [{ name: 'cpu.max', value: `${quota} ${CPU_PERIOD}` }]
        : [
            { name: 'cpu.cfs_period_us', value: String(CPU_PERIOD) },
            { name: 'cpu.cfs_quota_us', value: quota },
          ],
    );
  }
  if (cpuWeight !== undefined) {
    add('cpuWeight', 'cpu', (version) =>
      version === 2
        ? [{ name: 'cpu.weight', value: String(cpuWeight) }]
        : [{ name: 'cpu.shares', value: String(sharesOf(cpuWeight)) }],
    );
  }
  if (cpuset !== undefined)
    add('cpuset', 'cpuset', () => [{ name: 'cpuset.cpus', value: canonicalList(cpuset) }]);
  if (memory !== undefined) {
    add('memory', 'memory', (version) => [
      { name: version === 2 ? 'memory.max' : 'memory.limit_in_bytes', value: String(memory) },
    ]);
  }
  if (swap !== undefined && memory !== undefined) {
    // v1 counts memory and swap together, v2 swap alone.
    add('swap', 'memory', (version) =>
      version === 2
        ? [{ name: 'memory.swap.max', value: String(swap) }]
        : [{ name: 'memory.memsw.limit_in_bytes', value: String(memory + swap) }],
    );
  }
  if (pids !== undefined) add('pids', 'pids', () => [{ name: 'pids.max', value: String(pids) }]);
  return limits;
}

/** Reports CPUs that the host does not have: the kernel would only say that the value is out of range. */
function hasCpus({ cpuset }: ResourcesSpec, { cpus }: HostFacts, problems: Problems): boolean {
  if (cpuset === undefined || cpus === undefined) return true;
  const known = rangesOf(cpus);
  const isThere = ([from, to]: Range): boolean => known.some(([first, last]) => first <= from && to <= last);
  if (rangesOf(cpuset).every(isThere)) return true;
  problems.error(
    'no-cpu',
    ['resources', 'cpuset'],
    `this host has not all the CPUs ${cpuset}`,
    `it has ${cpus}`,
  );
  return false;
}

type Range = readonly [from: number, to: number];

function rangesOf(list: string): readonly Range[] {
  return list.split(',').map((part) => {
    const [from = 0, to = from] = part.trim().split('-').map(Number);
    return [from, to];
  });
}

function ioLimits(spec: Spec, facts: HostFacts, problems: Problems): readonly Limit[] {
  return spec.resources.io.flatMap((limit, index): readonly Limit[] => {
    const found = facts.paths[limit.device];
    if (found?.type !== 'block' || found.rdev === undefined) {
      const path = ['resources', 'io', index, 'device'];
      problems.error(
        'no-device',
        path,
        `${limit.device} is not a block device on this host`,
        'list them with: lsblk -p',
      );
      return [];
    }
    const number = `${found.rdev.major}:${found.rdev.minor}`;
    const hierarchy = facts.cgroups.hierarchies.find(
      (one) => one.controllers.includes('io') || one.controllers.includes('blkio'),
    );
    const controller = hierarchy?.version === 1 ? 'blkio' : 'io';
    return [
      {
        key: 'io',
        controller,
        files: (version) => (version === 2 ? ioMax(number, limit) : throttles(number, limit)),
      },
    ];
  });
}

function ioMax(number: string, limit: IoLimit): readonly { name: string; value: string }[] {
  const words = (['rbps', 'wbps', 'riops', 'wiops'] as const).flatMap((key) =>
    limit[key] === undefined ? [] : [`${key}=${limit[key]}`],
  );
  return words.length === 0 ? [] : [{ name: 'io.max', value: `${number} ${words.join(' ')}` }];
}

function throttles(number: string, limit: IoLimit): readonly { name: string; value: string }[] {
  const files = { rbps: 'read_bps', wbps: 'write_bps', riops: 'read_iops', wiops: 'write_iops' } as const;
  return (['rbps', 'wbps', 'riops', 'wiops'] as const).flatMap((key) =>
    limit[key] === undefined
      ? []
      : [{ name: `blkio.throttle.${files[key]}_device`, value: `${number} ${limit[key]}` }],
  );
}

function reportMissing(
  limit: Limit,
  onlySwap: boolean,
  cgroups: CgroupFacts,
  resources: ResourcesSpec,
  problems: Problems,
): void {
  const what = onlySwap ? 'swap accounting' : `the cgroup controller ${limit.controller}`;
  const report = resources.optional ? problems.warning : problems.error;
  const available = cgroups.hierarchies
    .flatMap((hierarchy) => hierarchy.controllers)
    .filter((name) => !name.startsWith('name='));
  report(
    'no-controller',
    ['resources', limit.key],
    `this host has no ${what.replace(/^the /, '')}, which resources.${limit.key} needs`,
    `available: ${available.join(', ') || 'none'}; resources.optional: true makes this a warning`,
  );
}

/** cgroup v2 weight to v1 shares, in proportion to the kernel's defaults: a weight of 100, and 1024 shares. */
function sharesOf(weight: number): number {
  return Math.round((weight * 1024) / 100);
}

/** `0,1,2,5` as the kernel prints it: `0-2,5`. */
function canonicalList(list: string): string {
  const numbers = rangesOf(list).flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index),
  );
  const sorted = [...new Set(numbers)].toSorted((one, other) => one - other);
  const ranges: [number, number][] = [];
  for (const number of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');
}

// Limits as the kernel writes them: when two texts mean the same, and what lifts a limit. Pure.
import type { SpecPath } from '../errors.ts';

export interface LimitFile {
  readonly name: string;
  readonly value: string;
}

/** Path of the spec's key that a cgroup file comes from, in both versions. */
export function specPathOf(name: string): SpecPath {
  if (/^(?:memory\.memsw|memory\.swap)\b/.test(name)) return ['resources', 'swap'];
  if (/^cpu\.(?:weight|shares)$/.test(name)) return ['resources', 'cpuWeight'];
  const controller = name.slice(0, name.indexOf('.'));
  const key = { cpu: 'cpus', blkio: 'io' }[controller] ?? controller;
  return ['resources', key];
}

/** Page sizes of the kernels that Node runs on: limits of memory are rounded down to whole pages. */
const PAGE_SIZES = [4096, 16_384, 65_536];

/** Whether the kernel shows `wanted` as `found`: memory is rounded down to pages, io limits are merged into lines. */
export function sameLimit(name: string, wanted: string, found: string): boolean {
  if (wanted.trim() === found) return true;
  if (name.startsWith('memory.')) {
    // v1 shows "no limit" as the largest page-aligned number.
    if (wanted === '-1') return Number(found) > 2 ** 62;
    return PAGE_SIZES.some((size) => Number(found) === Math.floor(Number(wanted) / size) * size);
  }
  const lines = found.split('\n');
  if (name === 'io.max')
    return lines.some((line) => wanted.split(' ').every((word) => line.split(' ').includes(word)));
  return name.startsWith('blkio.throttle.') && lines.includes(wanted);
}

/**
 * Files that lift limits that a newer spec no longer asks for. An empty text stands for the value of the cgroup above.
 */
export function liftLimits(former: readonly LimitFile[], wanted: readonly LimitFile[]): readonly LimitFile[] {
  return former.flatMap(({ name, value }) => {
    const still = wanted.filter((file) => file.name === name).map((file) => file.value.split(' '));
    const [device = '', ...words] = value.split(' ');
    const ofDevice = still.find((other) => other[0] === device);
    if (name === 'io.max') {
      // io.max has one line for all rates of a device: rates that a write leaves out stay as they are.
      const keys = words.map((word) => word.split('=')[0] ?? '');
      const gone = keys.filter((key) => ofDevice?.some((word) => word.startsWith(`${key}=`)) !== true);
      return gone.length === 0
        ? []
        : [{ name, value: [device, ...gone.map((key) => `${key}=max`)].join(' ') }];
    }
    if (name.startsWith('blkio.throttle.'))
      return ofDevice === undefined ? [{ name, value: `${device} 0` }] : [];
    const unlimited = unlimitedValue(name);
    return still.length > 0 || unlimited === undefined ? [] : [{ name, value: unlimited }];
  });
}

function unlimitedValue(name: string): string | undefined {
  switch (name) {
    case 'cpu.cfs_quota_us':
    case 'memory.limit_in_bytes':
    case 'memory.memsw.limit_in_bytes':
      return '-1';
    case 'cpu.max':
      return 'max 100000';
    case 'memory.max':
    case 'memory.swap.max':
    case 'pids.max':
      return 'max';
    case 'cpu.weight':
      return '100';
    case 'cpu.shares':
      return '1024';
    case 'cpuset.cpus':
      return '';
    default:
      return undefined;
  }
}

// The mounts of a container in their order, and the places in the root that they need. Pure.
import type { MountSpec, Spec } from '../load/spec.ts';
import type { HostFacts } from '../plan/facts.ts';
import type { Mountpoint } from '../plan/plan.ts';
import type { OciMount } from './runtime-spec.ts';
import { isAtOrBelow, normalizePath, pathDepth } from './paths.ts';

/** Absolute host paths of the generated files that are bound over /etc. */
export interface GeneratedFiles {
  readonly resolvConf: string;
  readonly hosts: string;
  readonly hostname: string;
}

export interface MountInput {
  readonly spec: Spec;
  readonly files: GeneratedFiles;
  /** Host folder of a named volume. */
  volumePath(name: string): string;
}

/** Docker's default mounts. */
const DEFAULT_MOUNTS: readonly OciMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
];

const PRIVATE_SHM: OciMount = {
  destination: '/dev/shm',
  type: 'tmpfs',
  source: 'shm',
  options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
};

// Sharing the host's IPC namespace means its POSIX shared memory too, and that is this folder.
const HOST_SHM: OciMount = {
  destination: '/dev/shm',
  type: 'bind',
  source: '/dev/shm',
  options: ['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev'],
};

export function buildMounts(input: MountInput): readonly OciMount[] {
  const { spec, files } = input;
  const own = spec.mounts.map((mount) => buildMount(mount, input));
  const fileOptions = ['bind', 'rprivate', spec.readonlyRootfs ? 'ro' : 'rw'];
  const defaults = [
    ...DEFAULT_MOUNTS,
    spec.namespaces.ipc.mode === 'host' ? HOST_SHM : PRIVATE_SHM,
    ...[
      ['/etc/resolv.conf', files.resolvConf] as const,
      ['/etc/hostname', files.hostname] as const,
      ['/etc/hosts', files.hosts] as const,
    ].map(([destination, source]) => ({ destination, type: 'bind', source, options: fileOptions })),
  ];
  // A spec that mounts /dev or /etc itself brings what belongs below it: a generated file bound there would need a
  // mount point made in the user's own folder.
  const kept = defaults.filter(
    (mount) => !own.some(({ destination }) => isAtOrBelow(mount.destination, destination)),
  );
  // Outer before inner, or the outer mount would hide the inner one; otherwise the order of the spec.
  return [...kept, ...own.toSorted((a, b) => pathDepth(a.destination) - pathDepth(b.destination))];
}

function buildMount(mount: MountSpec, { volumePath }: MountInput): OciMount {
  const destination = normalizePath(mount.destination);
  if (mount.type === 'tmpfs') {
    const size = mount.size === undefined ? [] : [`size=${mount.size}`];
    const options = ['nosuid', 'nodev', 'noexec', `mode=${mount.mode.toString(8).padStart(4, '0')}`, ...size];
    return {
      destination,
      type: 'tmpfs',
      source: 'tmpfs',
      options: mount.readOnly ? [...options, 'ro'] : options,
    };
  }
  const source = mount.type === 'volume' ? volumePath(mount.source) : mount.source;
  // `ro` alone leaves mounts below the source writable; `rro` is mount_setattr(2) with AT_RECURSIVE and
  // an error on kernels before 5.12, never silently less.
  return {
    destination,
    type: 'bind',
    source,
    options: ['rbind', 'rprivate', ...(mount.readOnly ? ['ro', 'rro'] : ['rw'])],
  };
}

const RUNTIME_PLACES: readonly (readonly [string, Mountpoint['type']])[] = [
  ['/dev', 'directory'],
  ['/dev/pts', 'directory'],
  ['/dev/shm', 'directory'],
  ['/dev/mqueue', 'directory'],
  ['/proc', 'directory'],
  ['/sys', 'directory'],
  ['/etc', 'directory'],
  ['/etc/resolv.conf', 'file'],
  ['/etc/hosts', 'file'],
  ['/etc/hostname', 'file'],
];

/** Places of the runtime at which nothing but a folder will do. */
export const RUNTIME_FOLDERS: readonly string[] = RUNTIME_PLACES.flatMap(([path, type]) =>
  type === 'directory' ? [path] : [],
);

/** Every place of the root on which something is mounted, for the topmost read-only layer. */
export function mountTargets(spec: Spec, paths: HostFacts['paths']): readonly Mountpoint[] {
  const targets = new Map<string, Mountpoint>();
  for (const [path, type] of RUNTIME_PLACES) targets.set(path, { path, type, symlinks: 'replace' });
  for (const mount of spec.mounts) {
    const path = normalizePath(mount.destination);
    const type =
      mount.type === 'bind' && (paths[mount.source]?.type ?? 'directory') !== 'directory'
        ? 'file'
        : 'directory';
    const ownedByRuntime = targets.get(path)?.symlinks === 'replace';
    // Below /dev, /proc and /sys the mount point is made in the file system mounted there, not in the root.
    if (!ownedByRuntime && ['/dev', '/proc', '/sys'].some((folder) => isAtOrBelow(path, folder))) continue;
    targets.set(path, {
      path,
      type,
      symlinks: ownedByRuntime ? 'replace' : 'resolve',
      ...(mount.type === 'tmpfs' ? { mode: mount.mode } : {}),
    });
  }
  return [...targets.values()].toSorted((a, b) => pathDepth(a.path) - pathDepth(b.path));
}

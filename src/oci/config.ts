// The OCI runtime configuration of a container, from its spec. Pure: what only the mounted root and the
// running machine can tell (user ids, joined namespaces, seccomp, HOME) is filled in by the bundle op.
import type { Diagnostic } from '../errors.ts';
import type { NamespaceType, SettledSpec, Spec } from '../load/spec.ts';
import type { BundleStep } from '../plan/plan.ts';
import { chooseCapabilities } from './capabilities.ts';
import { type GeneratedFiles, buildMounts } from './mounts.ts';
import type {
  OciConfig,
  OciDevice,
  OciDeviceRule,
  OciLinux,
  OciNamespace,
  OciProcess,
} from './runtime-spec.ts';
import { isAtOrBelow, normalizePath } from './paths.ts';

export interface ConfigInput {
  readonly spec: SettledSpec;
  /** The mounted root. */
  readonly rootfs: string;
  /** Path of the container's cgroup in each hierarchy, as in `/runspec/web`. */
  readonly cgroupsPath: string;
  /** The namespace a private network was made in, as in `/run/netns/runspec-web`. */
  readonly netnsPath?: string;
  readonly files: GeneratedFiles;
  /** Host folder of a named volume. */
  volumePath(name: string): string;
  /** The nodes of `spec.devices` on this host. */
  readonly devices: readonly DeviceFacts[];
}

export interface DeviceFacts {
  readonly path: string;
  readonly type: 'block' | 'character';
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Docker's masked paths. The runtime passes over those that do not exist. */
const MASKED_PATHS: readonly string[] = [
  ...[
    'asound',
    'acpi',
    'kcore',
    'keys',
    'latency_stats',
    'timer_list',
    'timer_stats',
    'sched_debug',
    'scsi',
    'interrupts',
  ].map((name) => `/proc/${name}`),
  '/sys/firmware',
  '/sys/fs/selinux',
  '/sys/dev/block',
  '/sys/devices/virtual/powercap',
];

const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
  // On cgroup v1 runc mounts each hierarchy read-only and forgets the tmpfs they are in.
  '/sys/fs/cgroup',
];

/**
 * Any node may be made, which gives no access to it. Accessible are null, zero, full, random, urandom, tty, console,
 * ptmx and pts.
 */
const DEVICE_RULES: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...[3, 5, 7, 8, 9].map((minor) => ({ allow: true, type: 'c' as const, major: 1, minor, access: 'rwm' })),
  ...[0, 1, 2].map((minor) => ({ allow: true, type: 'c' as const, major: 5, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

/** OCI's names of the namespaces. */
const NAMESPACE_TYPES: readonly NamespaceType[] = ['mount', 'pid', 'ipc', 'uts', 'network', 'cgroup'];

export function buildConfig(input: ConfigInput): OciConfig {
  const { spec } = input;
  const ownUts = spec.namespaces.uts.mode === 'private';
  return {
    ociVersion: '1.0.2',
    process: buildProcess(spec, ownUts),
    root: { path: input.rootfs, readonly: spec.readonlyRootfs },
    ...(ownUts ? { hostname: spec.hostname } : {}),
    mounts: buildMounts(input),
    annotations: { 'runspec.name': spec.name },
    linux: buildLinux(input),
  };
}

/** Namespaces of other containers; which process holds them is known when the bundle is written. */
export function joinedNamespaces(spec: Spec): BundleStep['join'] {
  return NAMESPACE_TYPES.flatMap((type) => {
    const namespace = spec.namespaces[type];
    return namespace.mode === 'container' ? [{ type, container: namespace.container }] : [];
  });
}

/** Problems with what the spec language allows and no OCI runtime does. */
export function findConfigProblems(spec: Spec): readonly Diagnostic[] {
  const problems: Diagnostic[] = [];
  if (spec.namespaces.mount.mode !== 'private') {
    problems.push({
      code: 'mount-namespace-not-private',
      severity: 'error',
      message: `namespaces.mount cannot be ${spec.namespaces.mount.mode}: a container with its own root file system needs its own mount namespace`,
      hint: 'leave it private; to see the files of another container, mount the same source in both, or use runspec exec',
      path: ['namespaces', 'mount'],
    });
  }
  for (const [index, mount] of spec.mounts.entries()) {
    const destination = normalizePath(mount.destination);
    if (destination === '/' || isAtOrBelow(destination, '/proc')) {
      problems.push({
        code: 'mount-destination',
        severity: 'error',
        message: `nothing can be mounted on ${destination}`,
        hint:
          destination === '/'
            ? 'use rootfs or layers for the root file system'
            : 'OCI runtimes refuse mounts on /proc and inside it',
        path: ['mounts', index, 'destination'],
      });
    }
  }
  return problems;
}

function buildProcess(spec: SettledSpec, ownUts: boolean): OciProcess {
  const { process } = spec;
  const env = {
    PATH: DEFAULT_PATH,
    ...(ownUts ? { HOSTNAME: spec.hostname } : {}),
    ...(process.terminal ? { TERM: 'xterm' } : {}),
    ...process.env,
  };
  const rlimits = Object.entries(process.rlimits).map(([name, { soft, hard }]) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    soft,
    hard,
  }));
  return {
    terminal: process.terminal,
    ...(process.consoleSize === undefined ? {} : { consoleSize: process.consoleSize }),
    user: { uid: 0, gid: 0 },
    args: process.args,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd: process.cwd,
    capabilities: chooseCapabilities(process.capabilities),
    noNewPrivileges: process.noNewPrivileges,
    ...(rlimits.length === 0 ? {} : { rlimits }),
    ...(process.oomScoreAdj === undefined ? {} : { oomScoreAdj: process.oomScoreAdj }),
  };
}

function buildLinux(input: ConfigInput): OciLinux {
  const { spec, devices } = input;
  const ociDevices: readonly OciDevice[] = devices.map(({ path, type, major, minor, mode, uid, gid }) => ({
    path,
    type: type === 'block' ? 'b' : 'c',
    major,
    minor,
    fileMode: mode,
    uid,
    gid,
  }));
  const rules = ociDevices.map(({ type, major, minor }) => ({
    allow: true,
    type,
    major,
    minor,
    access: 'rwm',
  }));
  return {
    cgroupsPath: input.cgroupsPath,
    namespaces: buildNamespaces(input),
    ...(ociDevices.length === 0 ? {} : { devices: ociDevices }),
    // Limits are left out: the cgroup op has written them, and a runtime leaves alone what it is not told.
    resources: { devices: [...DEVICE_RULES, ...rules] },
    ...(Object.keys(spec.sysctls).length === 0 ? {} : { sysctl: spec.sysctls }),
    rootfsPropagation: 'private',
    maskedPaths: spec.security.maskedPaths === 'default' ? MASKED_PATHS : spec.security.maskedPaths,
    readonlyPaths: spec.security.readonlyPaths === 'default' ? READONLY_PATHS : spec.security.readonlyPaths,
  };
}

function buildNamespaces({ spec, netnsPath }: ConfigInput): readonly OciNamespace[] {
  return NAMESPACE_TYPES.flatMap((type): readonly OciNamespace[] => {
    const namespace = spec.namespaces[type];
    switch (namespace.mode) {
      case 'host':
      case 'container':
        return [];
      case 'path':
        return [{ type, path: namespace.path }];
      case 'private':
        if (type !== 'network') return [{ type }];
        if (spec.network.mode === 'host') return [];
        return [netnsPath === undefined ? { type } : { type, path: netnsPath }];
      default:
        return namespace satisfies never;
    }
  });
}

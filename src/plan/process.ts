// The bundle and the process of one container as steps.
import type { SettledSpec, Spec } from '../load/spec.ts';
import { cgroupOf } from '../names.ts';
import { buildConfig, joinedNamespaces, type DeviceFacts } from '../oci/config.ts';
import type { HostFacts } from './facts.ts';
import type { Plan, Step } from './plan.ts';
import { shownSysctls } from './process-steps.ts';
import type { Problems } from './problems.ts';
import { directory, volumePath, type Places } from './storage.ts';

export interface ProcessInput {
  readonly netnsPath?: string;
  /** Steps that must be through before the process may start: all of its network. */
  readonly networkIds: readonly string[];
  /** Steps of `networkIds` that make its namespace: it cannot be created without them. */
  readonly netnsIds: readonly string[];
  readonly cgroupId: string;
  /** Steps of the read-only layers of its root: unpacking may take minutes. */
  readonly layerIds: readonly string[];
  readonly runtime: Plan['runtime'];
}

export function compileProcess(
  spec: SettledSpec,
  facts: HostFacts,
  places: Places,
  input: ProcessInput,
  problems: Problems,
): readonly Step[] {
  const cgroupsPath = cgroupOf(spec.name);
  const config = buildConfig({
    spec,
    rootfs: places.rootfs,
    cgroupsPath,
    files: places.files,
    volumePath: (name) => volumePath(facts, name),
    devices: deviceFacts(spec, facts, problems),
    ...(input.netnsPath === undefined ? {} : { netnsPath: input.netnsPath }),
  });
  const volumes = [
    ...new Set(spec.mounts.flatMap((mount) => (mount.type === 'volume' ? [`volume:${mount.source}`] : []))),
  ];
  const network = input.networkIds.filter((id) => !input.netnsIds.includes(id));
  const root = ['bundle', 'overlay:rootfs', ...input.netnsIds, ...volumes];
  const files = ['file:/etc/resolv.conf', 'file:/etc/hosts', 'file:/etc/hostname'];
  return [
    directory('dir:bundle', places.bundle, 0o700, 'tree', []),
    {
      id: 'bundle',
      op: 'bundle',
      path: places.bundle,
      rootfs: places.rootfs,
      user: spec.process.user,
      additionalGids: spec.process.additionalGids,
      seccomp: spec.security.seccomp,
      join: joinedNamespaces(spec),
      // The configuration goes through JSON, so that the stored one and a later one compare as equal.
      config: JSON.parse(JSON.stringify(config)) as Readonly<Record<string, unknown>>,
      needs: ['dir:bundle', 'overlay:rootfs'],
      after: [],
    },
    {
      id: 'process',
      op: 'process',
      container: spec.name,
      bundle: places.bundle,
      runtime: input.runtime,
      runtimeRoot: places.runtimeRoot,
      records: places.records,
      log: places.log,
      terminal: spec.process.terminal,
      stopSignal: spec.process.stopSignal,
      stopTimeout: spec.process.stopTimeout,
      cgroup: cgroupsPath,
      ...(spec.process.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.process.oomScoreAdj }),
      needs: ['dir:bundle', 'dir:runtime', ...root],
      after: [...input.layerIds, input.cgroupId, ...files],
      // conmon starts while the root is made, as it enters its cgroup slowly; the network is made during `create`.
      awaits: {
        create: ['dir:runtime', input.cgroupId, ...root, ...files, ...(namesInterfaces(spec) ? network : [])],
        start: namesInterfaces(spec) ? [] : network,
      },
    },
    ...(Object.keys(spec.sysctls).length === 0 ? [] : [sysctlsOf(spec, places, network)]),
  ];
}

/** The sysctls come after the network, as some name an interface, which may be made anew while the process stays. */
function sysctlsOf(spec: Spec, places: Places, network: readonly string[]): Step {
  return {
    id: 'sysctls',
    op: 'container-sysctls',
    records: places.records,
    path: shownSysctls(places.bundle),
    sysctls: spec.sysctls,
    needs: ['process'],
    after: network,
  };
}

/**
 * Whether `create` has to wait for the network: the runtime writes sysctls in `create`, and those of the network may
 * name an interface, or undo what comes after.
 */
function namesInterfaces(spec: Spec): boolean {
  return Object.keys(spec.sysctls).some((key) => key.startsWith('net.'));
}

function deviceFacts(spec: Spec, facts: HostFacts, problems: Problems): readonly DeviceFacts[] {
  return spec.devices.flatMap((path, index): readonly DeviceFacts[] => {
    const found = facts.paths[path];
    if (found?.rdev === undefined || (found.type !== 'block' && found.type !== 'character')) {
      problems.error(
        'no-device',
        ['devices', index],
        `${path} is not a device on this host`,
        'list them with: ls -l /dev',
      );
      return [];
    }
    const { type, mode, uid, gid } = found;
    return [{ path, type, major: found.rdev.major, minor: found.rdev.minor, mode, uid, gid }];
  });
}

// A Spec with the defaults of the language, for tests of what is made from one.
import type { SettledSpec, Spec } from '../../src/load/spec.ts';
import type { ConfigInput } from '../../src/oci/config.ts';

type Change = {
  readonly [K in keyof Spec]?: Spec[K] extends readonly unknown[] | string | boolean
    ? Spec[K]
    : Partial<Spec[K]>;
};

export function makeSpec(change: Change = {}): SettledSpec {
  const isPrivate = { mode: 'private' } as const;
  return {
    name: 'web',
    hostname: 'web',
    rootfs: { kind: 'directory', directory: '/srv/rootfs' },
    readonlyRootfs: false,
    layers: [],
    writable: 'ephemeral',
    devices: [],
    mounts: [],
    sysctls: {},
    runtime: 'auto',
    ...change,
    process: {
      args: ['/bin/sh'],
      env: {},
      cwd: '/',
      user: '0',
      additionalGids: [],
      terminal: false,
      noNewPrivileges: true,
      capabilities: { add: [], drop: [] },
      rlimits: {},
      stopSignal: 'SIGTERM',
      stopTimeout: 10_000,
      ...change.process,
    },
    namespaces: {
      network: isPrivate,
      pid: isPrivate,
      ipc: isPrivate,
      uts: isPrivate,
      mount: isPrivate,
      cgroup: isPrivate,
      ...change.namespaces,
    },
    resources: { io: [], optional: false, ...change.resources },
    network: { mode: 'none', bridge: 'runspec0', interface: 'eth0', nat: true, ports: [], ...change.network },
    dns: { hosts: {}, ...change.dns },
    security: { seccomp: 'default', maskedPaths: 'default', readonlyPaths: 'default', ...change.security },
  } as SettledSpec;
}

export function makeInput(change: Change = {}): ConfigInput {
  return {
    spec: makeSpec(change),
    rootfs: '/run/runspec/web/rootfs',
    cgroupsPath: '/runspec/web',
    netnsPath: '/run/netns/runspec-web',
    files: { resolvConf: '/data/etc/resolv.conf', hosts: '/data/etc/hosts', hostname: '/data/etc/hostname' },
    volumePath: (name) => `/data/volumes/${name}`,
    devices: [],
  };
}

// A Spec: one container as its author asked for it, every default filled in that needs no knowledge of the machine.
// Pure data: sizes in bytes, durations in milliseconds, short forms written out, host paths absolute. Values that
// depend on the machine (a free subnet, the mtu) stay undefined here.

export interface Spec {
  readonly name: string;
  readonly hostname: string;
  readonly rootfs: RootfsSource;
  /** True when the container cannot write its root. */
  readonly readonlyRootfs: boolean;
  /** Extra read-only layers, lowest first. */
  readonly layers: readonly LayerSource[];
  readonly writable: 'ephemeral' | 'persistent';
  readonly process: ProcessSpec;
  readonly namespaces: Readonly<Record<NamespaceType, NamespaceMode>>;
  readonly resources: ResourcesSpec;
  readonly network: NetworkSpec;
  readonly dns: DnsSpec;
  readonly mounts: readonly MountSpec[];
  /** Host device paths made available at the same path. */
  readonly devices: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly security: SecuritySpec;
  /** `auto`, `crun`, `runc`, `unshare` or the absolute path of an OCI runtime. */
  readonly runtime: string;
}

export type RootfsSource =
  | TarballSource
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 'host'; readonly files: readonly string[] }
  /** Image by its reference in full: absolute paths, registry and tag of a `docker://` reference written out. */
  | {
      readonly kind: 'image';
      readonly image: string;
      /** Digest of its manifest or index, when a lock file says it. */
      readonly digest?: string;
    };

export interface TarballSource {
  readonly kind: 'tarball';
  /** Absolute path, or an http(s) URL. */
  readonly tarball: string;
  /** SHA-256 of the archive as stored or served, compression included, in lower-case hex. */
  readonly sha256?: string;
}

export type LayerSource =
  | TarballSource
  | { readonly kind: 'directory'; readonly directory: string; readonly destination: string }
  | { readonly kind: 'files'; readonly files: Readonly<Record<string, InlineFile>> };

export interface InlineFile {
  readonly text: string;
  /** Permission bits, 0o644 by default. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Size of a terminal in characters, as in the OCI runtime specification. */
export type ConsoleSize = { readonly height: number; readonly width: number };

export interface ProcessSpec {
  /** Absent: the image's entrypoint and cmd, else `/bin/sh`. */
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absent: the image's, else `/`. */
  readonly cwd?: string;
  /**
   * `uid`, `uid:gid` or names, looked up in the root filesystem when the bundle is written. Absent: the image's, else
   * `root`.
   */
  readonly user?: string;
  readonly additionalGids: readonly number[];
  readonly terminal: boolean;
  /** Size of the terminal that `run` passes on; a spec has no word for it. */
  readonly consoleSize?: ConsoleSize;
  readonly noNewPrivileges: boolean;
  /** Names without `CAP_`, upper case; `ALL` is possible in both lists. */
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  /** Keyed by the lower-case name without `RLIMIT_`, as in `nofile`. */
  readonly rlimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  readonly oomScoreAdj?: number;
  /** Canonical upper-case name, as in `SIGQUIT`. Absent: the image's, else `SIGTERM`. */
  readonly stopSignal?: string;
  /** Milliseconds between the stop signal and SIGKILL to the whole cgroup. */
  readonly stopTimeout: number;
}

/** Spec whose process has no defaults left to take from the image. */
export interface SettledSpec extends Spec {
  readonly process: ProcessSpec & Required<Pick<ProcessSpec, 'args' | 'cwd' | 'user' | 'stopSignal'>>;
}

export type NamespaceType = 'network' | 'pid' | 'ipc' | 'uts' | 'mount' | 'cgroup';

export type NamespaceMode =
  | { readonly mode: 'private' }
  | { readonly mode: 'host' }
  | { readonly mode: 'path'; readonly path: string }
  | { readonly mode: 'container'; readonly container: string };

export interface ResourcesSpec {
  /** Number of CPUs, 0.1 is 10 % of one. */
  readonly cpus?: number;
  /** Kernel list format, as in `0-1,3`. */
  readonly cpuset?: string;
  /** cgroup v2 cpu.weight, 1 to 10000. */
  readonly cpuWeight?: number;
  /** Bytes. */
  readonly memory?: number;
  /** Bytes on top of `memory`; 0 forbids swapping. */
  readonly swap?: number;
  readonly pids?: number;
  readonly io: readonly IoLimit[];
  /** True makes an unavailable controller a warning, not an error. */
  readonly optional: boolean;
}

export interface IoLimit {
  /** Path of a block device on the host. */
  readonly device: string;
  /** Bytes per second. */
  readonly rbps?: number;
  readonly wbps?: number;
  /** Operations per second. */
  readonly riops?: number;
  readonly wiops?: number;
}

export interface NetworkSpec {
  /** `none` when the spec has no network: a private namespace with loopback only. */
  readonly mode: 'bridge' | 'veth' | 'host' | 'none';
  readonly bridge: string;
  /** CIDR of the network address, as in `10.209.0.0/24`. */
  readonly subnet?: string;
  readonly address?: string;
  readonly gateway?: string;
  /** Absent: IPv6 where the host has it. */
  readonly ipv6?: boolean;
  /** CIDR of the IPv6 network, as in `fd00:209::/64`. */
  readonly subnet6?: string;
  readonly address6?: string;
  readonly gateway6?: string;
  readonly interface: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly nat: boolean;
  readonly ports: readonly PortSpec[];
}

export interface PortSpec {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
  /** Absent: every address of the host; `0.0.0.0` and `::`: every one of that family. */
  readonly hostIP?: string;
}

export interface DnsSpec {
  /** Absent: the host's. */
  readonly servers?: readonly string[];
  readonly search?: readonly string[];
  readonly options?: readonly string[];
  /** Extra lines of /etc/hosts: name to address. */
  readonly hosts: Readonly<Record<string, string>>;
}

export type MountSpec =
  | {
      readonly type: 'bind';
      readonly source: string;
      readonly destination: string;
      readonly readOnly: boolean;
    }
  | {
      readonly type: 'volume';
      readonly source: string;
      readonly destination: string;
      readonly readOnly: boolean;
    }
  | {
      readonly type: 'tmpfs';
      readonly destination: string;
      /** Bytes. */
      readonly size?: number;
      /** Permission bits, 0o1777 by default. */
      readonly mode: number;
      readonly readOnly: boolean;
    };

export interface SecuritySpec {
  /** `default`, `unconfined` or the absolute path of a profile in the OCI `linux.seccomp` format. */
  readonly seccomp: string;
  readonly maskedPaths: 'default' | readonly string[];
  readonly readonlyPaths: 'default' | readonly string[];
}

// What compile must know about the machine, gathered before (run/gather-facts.ts) and passed as data.
import type { Diagnostic } from '../errors.ts';
import type { FileStatus } from '../host/host.ts';
import type { ForeignChain } from './foreign-chains.ts';
import type { LayerRecipe } from './layer-recipe.ts';
import type { PortSpec } from '../load/spec.ts';
import type { Lease, Plan } from './plan.ts';

export interface HostFacts {
  readonly bootId: string;
  readonly stateDir: string;
  readonly dataDir: string;
  readonly cgroups: CgroupFacts;
  /** CPUs that a cpuset may name, in the kernel's list format; absent where no spec has one, or the kernel does not tell. */
  readonly cpus?: string;
  /** runspec has CAP_SYS_RESOURCE: without it no limit can be raised. */
  readonly mayRaiseLimits: boolean;
  /** Absolute paths of the programs found. */
  readonly programs: Readonly<Record<string, string>>;
  readonly network: NetworkFacts;
  readonly listening: readonly ListeningSocket[];
  /** Of those that the specs want to publish. */
  readonly portsElsewhere: readonly PortElsewhere[];
  /** Containers with a live record, by name; the one being compiled may be among them. */
  readonly containers: Readonly<Record<string, ContainerFacts>>;
  /** Layers of each spec, by container name, lowest first, the root file system included. */
  readonly layers: Readonly<Record<string, readonly ResolvedLayer[]>>;
  /** What the images of the specs say about their process, by container name. */
  readonly images: Readonly<Record<string, ImageFacts>>;
  /** Host paths that the specs name (bind sources, devices, namespaces), symlinks followed; null: nothing there. */
  readonly paths: Readonly<Record<string, FileStatus | null>>;
  readonly resolver: ResolverFacts;
  /** Problems found while gathering, such as a missing tarball; they join compile's own. */
  readonly diagnostics: readonly (Diagnostic & { readonly container: string })[];
}

export interface CgroupFacts {
  readonly layout: 'v1' | 'v2' | 'hybrid';
  /** In the order of /proc/self/mountinfo. */
  readonly hierarchies: readonly {
    readonly version: 1 | 2;
    readonly mountpoint: string;
    /** v1: as mounted together (`cpu`, `cpuacct`) or `name=systemd`; v2: of cgroup.controllers. */
    readonly controllers: readonly string[];
    /** Limit files that exist for this kernel though not for all, such as memory.memsw.limit_in_bytes. */
    readonly swap: boolean;
  }[];
}

/** Of firewalls of others. */
export interface ForeignRules {
  /** Filter chains that packets of a container may pass; absent where there are none. */
  readonly foreignChains?: readonly ForeignChain[];
  /** Why rules, Docker's among them, cannot be read. */
  readonly unreadable?: readonly string[];
}

export interface NetworkFacts extends ForeignRules {
  readonly links: readonly {
    readonly name: string;
    readonly alias?: string;
    readonly kind?: string;
    readonly mtu: number;
    /** The bridge that it is a port of. */
    readonly master?: string;
  }[];
  /** Docker's iptables chain DOCKER-USER is there. */
  readonly dockerUser?: true;
  readonly addresses: readonly { readonly link: string; readonly address: string; readonly prefix: number }[];
  /**
   * `used`: the host has a global or unique local address, or a default route. `idle`: it could have.
   * `off`: the kernel has no IPv6, or it is disabled.
   */
  readonly ipv6: 'used' | 'idle' | 'off';
  /** Of both families; the default routes are `0.0.0.0/0` and `::/0`. */
  readonly routes: readonly { readonly destination: string; readonly link: string }[];
  /** IPv4 addresses of other machines, as far as this one knows them: next hops of routes, and whom it has talked to. */
  readonly neighbours?: readonly { readonly link: string; readonly address: string }[];
}

export interface ListeningSocket {
  readonly protocol: 'tcp' | 'udp';
  /** Bound address; `0.0.0.0` or `::` for all. */
  readonly address: string;
  readonly port: number;
  /** Socket inode, by which the owner is looked up when it matters. */
  readonly inode: string;
  readonly owner?: { readonly pid: number; readonly command: string };
}

/** A port that a container publishes of which no record here tells. */
export interface PortElsewhere extends Pick<PortSpec, 'protocol' | 'hostPort' | 'hostIP'> {
  readonly container: string;
  /** Its data folder, where that is another one. */
  readonly where?: string;
}

export interface ContainerFacts {
  readonly lease?: Lease;
  readonly ports: readonly PortSpec[];
  /** It has a network namespace of its own. */
  readonly ownsNetwork?: true;
  /** Whose namespaces it is in, of whatever type. */
  readonly joins?: readonly string[];
  /** Whose network namespace it is in, perhaps through others; more than one where an apply was cut short. */
  readonly joinsNetworkOf?: readonly string[];
  /** Whose pid namespace its process is in. */
  readonly joinsPidOf?: readonly string[];
  /** Addresses, with prefix length, that a foreign bridge has only while containers are on it. */
  readonly lent?: readonly string[];
  /** A rule of ours lets its packets pass Docker's. */
  readonly passesDocker?: true;
  /** Absolute path of the file that it was applied from. */
  readonly specFile?: string;
  /** What its process was started by, while that program is still there. */
  readonly runtime?: Plan['runtime'];
  /** Process id on the host while it runs. */
  readonly pid?: number;
}

export interface ResolvedLayer {
  /** Folder that becomes a lower layer of the overlay. */
  readonly path: string;
  /** Absent for a folder used as it is. */
  readonly recipe?: LayerRecipe;
}

export interface ImageFacts {
  /** As in the spec. */
  readonly reference: string;
  /** Of the manifest. */
  readonly digest: string;
  readonly config: ImageConfig;
}

/** What an image says about its process, in the words of the OCI image spec; absent words are absent keys. */
export interface ImageConfig {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  /** `NAME=value`. */
  readonly env?: readonly string[];
  readonly workingDir?: string;
  readonly user?: string;
  readonly stopSignal?: string;
  /** Paths in the container. */
  readonly volumes?: readonly string[];
}

export interface ResolverFacts {
  /** As in the host's /etc/resolv.conf, for containers in its network namespace. */
  readonly local: readonly string[];
  /** The host's name servers, with a loopback stub resolved to its upstream. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

// HostFacts: what compile must know about the machine, gathered before (run/gather-facts.ts) and passed as data.
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
  /**
   * CPUs that a cpuset may name, in the kernel's list format; absent where no spec has one or the kernel does not tell.
   */
  readonly cpus?: string;
  /** Absent where no spec has the host's uts namespace. */
  readonly hostname?: string;
  /** runspec has CAP_SYS_RESOURCE: without it no limit can be raised. */
  readonly mayRaiseLimits: boolean;
  /** Absolute paths of the programs found. */
  readonly programs: Readonly<Record<string, string>>;
  readonly network: NetworkFacts;
  readonly listening: readonly ListeningSocket[];
  /** Ports of containers without a record here that overlap with ports of the specs. */
  readonly portsElsewhere: readonly PortElsewhere[];
  /** Addresses of containers without a record here; none when no spec has a network of its own. */
  readonly addressesElsewhere: readonly AddressElsewhere[];
  /** Containers without a record here on any bridge; none when no spec has a network of its own. */
  readonly neighboursElsewhere: readonly NeighbourElsewhere[];
  /** Containers with a live record, by name; the one being compiled may be among them. */
  readonly containers: Readonly<Record<string, ContainerFacts>>;
  /** Layers of each spec, by container name, lowest first, the root file system included. */
  readonly layers: Readonly<Record<string, readonly ResolvedLayer[]>>;
  /** Settings of the specs' images for their process, by container name. */
  readonly images: Readonly<Record<string, ImageFacts>>;
  /** Host paths that the specs name (bind sources, devices, namespaces), symlinks followed; null: nothing there. */
  readonly paths: Readonly<Record<string, FileStatus | null>>;
  /** Those of them that may not be looked at: namespaces of processes that this one may not trace. */
  readonly denied?: readonly string[];
  readonly resolver: ResolverFacts;
  /** Problems found while gathering, such as a missing tarball; they join compile's own. */
  readonly diagnostics: readonly (Diagnostic & { readonly container: string })[];
}

export interface CgroupFacts {
  readonly layout: 'v1' | 'v2' | 'hybrid';
  /** Mounted hierarchies, in the order of /proc/self/mountinfo. */
  readonly hierarchies: readonly {
    readonly version: 1 | 2;
    readonly mountpoint: string;
    /** v1: controllers mounted together (`cpu`, `cpuacct`), or `name=systemd`; v2: content of cgroup.controllers. */
    readonly controllers: readonly string[];
    /** Whether swap can be limited: not every kernel has files such as memory.memsw.limit_in_bytes. */
    readonly swap: boolean;
  }[];
}

/** Rules of firewalls other than runspec's. */
export interface ForeignRules {
  /** Filter chains that packets of a container may pass; absent where there are none. */
  readonly foreignChains?: readonly ForeignChain[];
  /** Reasons why some of these rules, or Docker's, cannot be read. */
  readonly unreadable?: readonly string[];
}

export interface NetworkFacts extends ForeignRules {
  readonly links: readonly {
    readonly name: string;
    readonly alias?: string;
    readonly kind?: string;
    readonly mtu: number;
    /** Of bridges and their ports. */
    readonly mac?: string;
    /** The bridge that it is a port of. */
    readonly master?: string;
  }[];
  /** Set when Docker's iptables chain DOCKER-USER exists. */
  readonly dockerUser?: true;
  /** Docker's bridges that its own rules name. */
  readonly dockerBridges?: readonly string[];
  readonly addresses: readonly { readonly link: string; readonly address: string; readonly prefix: number }[];
  /**
   * `used`: the host has a global or unique local address, or a default route. `idle`: it could have.
   * `off`: the kernel has no IPv6, or it is disabled.
   */
  readonly ipv6: 'used' | 'idle' | 'off';
  /** Routes of both families; the default routes are `0.0.0.0/0` and `::/0`. */
  readonly routes: readonly { readonly destination: string; readonly link: string }[];
  /** IPv4 addresses of other machines that this host knows: next hops of routes, and its ARP table. */
  readonly neighbours?: readonly { readonly link: string; readonly address: string }[];
}

export interface ListeningSocket {
  readonly protocol: 'tcp' | 'udp';
  /** Bound address; `0.0.0.0` or `::` for all. */
  readonly address: string;
  readonly port: number;
  /** Socket inode, by which the owner is looked up when it matters. */
  readonly inode: string;
  readonly owner?: SocketOwner;
}

export interface SocketOwner {
  readonly pid: number;
  readonly command: string;
  /** Container by whose cgroup the process is runspec's. */
  readonly container?: string;
}

/** A port published by a container without a record here: one of another data folder, or one whose record is lost. */
export interface PortElsewhere extends Pick<PortSpec, 'protocol' | 'hostPort' | 'hostIP'> {
  readonly container: string;
  /** Data folder of the container, when it is not this one. */
  readonly where?: string;
}

/** An address, of either family, of a container without a record here. */
export interface AddressElsewhere {
  readonly address: string;
  readonly container: string;
}

/** A container on a bridge without a record here: one of another data folder, or one whose record is lost. */
export interface NeighbourElsewhere {
  readonly container: string;
  /** The bridge. */
  readonly link: string;
  readonly hasIpv6: boolean;
}

/** Texts of generated files. */
export interface EtcFiles {
  readonly resolvConf: string;
  readonly hosts: string;
  readonly hostname: string;
}

export interface ContainerFacts {
  readonly lease?: Lease;
  /** On its link, made from its address or given. */
  readonly mac?: string;
  readonly ports: readonly PortSpec[];
  /** For those that join its namespaces. */
  readonly etc?: EtcFiles;
  /** It has a network namespace of its own. */
  readonly ownsNetwork?: true;
  /** Containers whose namespaces it has joined, of any type. */
  readonly joins?: readonly string[];
  /** Containers whose network namespace it is in, perhaps through others; several after an apply that was cut short. */
  readonly joinsNetworkOf?: readonly string[];
  /** Containers whose pid namespace its process is in. */
  readonly joinsPidOf?: readonly string[];
  /** Addresses, with prefix length, that a foreign bridge has only while containers are on it. */
  readonly lent?: readonly string[];
  /** A rule of ours lets its packets pass Docker's. */
  readonly passesDocker?: true;
  /** Absolute path of the spec file that the container was applied from. */
  readonly specFile?: string;
  /** OCI runtime that started its process, while that program is still there. */
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
  /** Reference of the image as in the spec. */
  readonly reference: string;
  /** Digest of the manifest. */
  readonly digest: string;
  readonly config: ImageConfig;
}

/** Settings of an image for its process, in the words of the OCI image spec; absent words are absent keys. */
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
  /** Name servers of the host's /etc/resolv.conf, for containers in the host's network namespace. */
  readonly local: readonly string[];
  /** The host's name servers, with a loopback stub resolved to its upstream. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

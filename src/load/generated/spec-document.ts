// Generated from schema/runspec.schema.json by scripts/generate.mjs; do not edit.

export type Path = string;
export type InlineFile =
  | string
  | {
      /**
       * Content of the file, written as UTF-8.
       */
      text: string;
      /**
       * Permission bits in octal, as a quoted string. Default: "0644".
       */
      mode?: string;
      /**
       * Number of the owner. Default: 0.
       */
      uid?: number;
      /**
       * Number of the group. Default: 0.
       */
      gid?: number;
    };
export type Argument = string | number | boolean;
export type Id = number;
export type Capability = string;
export type Port =
  | string
  | {
      /**
       * Port on the host, 1 to 65535.
       */
      hostPort: number;
      /**
       * Port in the container, 1 to 65535.
       */
      containerPort: number;
      /**
       * tcp or udp. Default: tcp.
       */
      protocol?: "tcp" | "udp";
      /**
       * The one address of the host that the port is published on; 127.0.0.1 and ::1 are for this host only, 0.0.0.0 and :: are all addresses of that family. Default: all of both families.
       */
      hostIP?: string;
    };
export type Ip = string;
export type SearchDomain = string;
export type ResolverOption = string;
export type Mount =
  | string
  | {
      /**
       * bind: a file or folder of the host. volume: a named folder that runspec keeps until `down --volumes`; a new one begins with the content, owner and mode of the folder it covers, as the layers have it (of several containers of one call: the first with anything there). tmpfs: an empty folder in memory, without programs, device nodes or setuid (noexec, nodev, nosuid).
       */
      type: "bind" | "volume" | "tmpfs";
      /**
       * bind: path on the host, which must exist. volume: name of the volume (letters, digits, _ . -). Not for tmpfs.
       */
      source?: string;
      /**
       * Absolute path in the container. Created when missing.
       */
      destination: string;
      /**
       * true: nothing at or below the destination can be written. Default: false.
       */
      readOnly?: boolean;
      /**
       * tmpfs only: most bytes it may hold. Default: half of the memory, as the kernel decides.
       */
      size?: number | string;
      /**
       * tmpfs only: permission bits of its root in octal, as a quoted string. Default: "1777".
       */
      mode?: string;
    };
export type AbsolutePath = string;
/**
 * Paths in the container hidden from the process: default (Docker's) or a list that replaces it. Default: default.
 */
export type PathList = string | AbsolutePath[];
/**
 * Paths in the container made read-only: default (Docker's) or a list that replaces it. Default: default.
 */
export type PathList1 = string | AbsolutePath[];

/**
 * One container: where its files come from, what it may use, what it runs. A file may hold several of these, separated by ---. Relative paths are relative to the spec file. Sizes are bytes or a number with k, m, g or t (powers of 1024); durations are a number with ms, s, m or h.
 */
export interface SpecDocument {
  /**
   * Version of this language. Always 1.
   */
  runspec: 1;
  /**
   * Name of the container, unique on the host: 1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last. It names the network namespace, the cgroup and the records.
   */
  name: string;
  /**
   * Host name inside the container, at most 64 characters. Needs a private uts namespace. Default: name.
   */
  hostname?: string;
  rootfs: Rootfs;
  /**
   * Extra read-only layers over the rootfs, lowest first. Each is exactly one of tarball, directory and files.
   */
  layers?: Layer[];
  /**
   * What becomes of the files the container writes. ephemeral: gone at `down`, and when the layers below them change. persistent: kept until `down --volumes`, over whatever layers: what was written hides what is newer in them. Default: ephemeral.
   */
  writable?: "ephemeral" | "persistent";
  process?: Process;
  namespaces?: Namespaces;
  resources?: Resources;
  network?: Network;
  dns?: Dns;
  /**
   * Folders and files mounted into the container, each as an object or in the short form SOURCE:DESTINATION[:ro|rw], where a SOURCE with a slash is a path and any other the name of a volume.
   */
  mounts?: Mount[];
  /**
   * Device nodes of the host made available at the same path, readable and writable. Default: only null, zero, full, random, urandom, tty and ptmx.
   */
  devices?: AbsolutePath[];
  /**
   * Kernel parameters set inside the container's namespaces, by name with dots. Only namespaced ones: net.* (private network), kernel.shm*, kernel.msg*, kernel.sem and fs.mqueue.* (private ipc), kernel.domainname (private uts).
   */
  sysctls?: {
    [k: string]: string | number;
  };
  security?: Security;
  /**
   * What starts the process: auto (crun, then runc), crun, runc, or the path of an OCI runtime. unshare (util-linux alone) is not available in this version. Default: auto.
   */
  runtime?: string;
}
/**
 * Where the root file system comes from: exactly one of tarball, directory, image and host. It is the lowest read-only layer of an overlay and is never written to.
 */
export interface Rootfs {
  /**
   * Path or URL of a tar archive; plain, gzip, zstd or xz. https is fetched once and remembered; http needs sha256, unless it is from this machine.
   */
  tarball?: string;
  /**
   * SHA-256 of the archive as stored or served, 64 hex digits. Checked before anything is unpacked. Goes with tarball.
   */
  sha256?: string;
  /**
   * Folder used in place as the lowest read-only layer; never written to.
   */
  directory?: string;
  /**
   * Container image: oci:DIR[:TAG] (an OCI image layout), docker-archive:FILE[:NAME:TAG] (as docker save writes it, gzipped or not), dir:DIR (as skopeo writes it) or docker://[REGISTRY/]REPOSITORY[:TAG][@sha256:DIGEST]; without a registry it is Docker Hub, without a tag latest.
   */
  image?: string;
  /**
   * A root file system made of this host's own files.
   */
  host?: {
    /**
     * Files and folders of the host, put at the same path. ELF files bring their shared libraries and loader; symlinks stay symlinks and bring what they lead to.
     *
     * @minItems 1
     */
    files: Path[];
  };
  /**
   * true: the container cannot write its root. Default: false.
   */
  readonly?: boolean;
}
export interface Layer {
  /**
   * Path or URL of a tar archive unpacked at the root; plain, gzip, zstd or xz. https is fetched once and remembered; http needs sha256, unless it is from this machine.
   */
  tarball?: string;
  /**
   * SHA-256 of the archive as stored or served, 64 hex digits. Goes with tarball.
   */
  sha256?: string;
  /**
   * Folder whose content appears at destination, as it was when it was applied: it is copied.
   */
  directory?: string;
  /**
   * Where in the container the content of directory appears. Goes with directory. Default: /.
   */
  destination?: string;
  /**
   * Files written out here: absolute path in the container to the text, or to an object with text, mode, uid and gid.
   */
  files?: {
    [k: string]: InlineFile;
  };
}
/**
 * What runs in the container, and with which rights.
 */
export interface Process {
  /**
   * Program and its arguments; no shell is involved. Default: the image's entrypoint and cmd, else /bin/sh.
   *
   * @minItems 1
   */
  args?: Argument[];
  /**
   * Environment variables, over those of the image. The host's own are not passed on; PATH, HOME and HOSTNAME have defaults, and TERM with a terminal.
   */
  env?: {
    [k: string]: Argument;
  };
  /**
   * Working folder of the process, an absolute path in the container. Default: the image's, else /.
   */
  cwd?: string;
  /**
   * Who the process runs as: uid[:gid], as numbers or as names looked up in the container's /etc/passwd and /etc/group. Quote it. Default: the image's, else root.
   */
  user?: string | number;
  /**
   * Numbers of further groups the process is in. Default: none.
   */
  additionalGids?: Id[];
  /**
   * true: the process gets a pseudo-terminal as its standard streams; `run` passes its own on, and gives pipes where it has none. Default: false.
   */
  terminal?: boolean;
  /**
   * true: neither setuid programs nor file capabilities give the process more rights (prctl PR_SET_NO_NEW_PRIVS). Default: true.
   */
  noNewPrivileges?: boolean;
  /**
   * Changes to Docker's default set of 14 capabilities: what is dropped is taken from it, what is added comes on top; with add: [ALL] it is every one but those dropped. Names with or without CAP_.
   */
  capabilities?: {
    /**
     * Capabilities the process gets on top. Default: none.
     */
    add?: Capability[];
    /**
     * Capabilities taken from the default set. Default: none.
     */
    drop?: Capability[];
  };
  /**
   * Resource limits of the process (setrlimit), by the lower-case name without RLIMIT_. Default: those of runspec's own process.
   */
  rlimits?: {
    [k: string]: Rlimit;
  };
  /**
   * How readily the kernel kills the process when memory runs out, from -1000 (never) to 1000 (first). Lowering it needs CAP_SYS_RESOURCE. Default: runspec's own.
   */
  oomScoreAdj?: number;
  /**
   * Signal that asks the process to end, by name with or without SIG, or by number (1 to 31). Default: the image's, else SIGTERM.
   */
  stopSignal?: string | number;
  /**
   * Time between stopSignal and SIGKILL to the whole cgroup. Default: 10s.
   */
  stopTimeout?: string;
}
export interface Rlimit {
  /**
   * The limit that is enforced; the process may raise it up to hard. Bytes, seconds or a count, see setrlimit(2).
   */
  soft: number;
  /**
   * The ceiling for soft. Above runspec's own hard limit it needs CAP_SYS_RESOURCE.
   */
  hard: number;
}
/**
 * Which kernel namespaces are the container's own. Each is private (default), host, the path of a namespace file, or container:NAME; mount can only be private.
 */
export interface Namespaces {
  /**
   * Interfaces, addresses, routes, firewall, ports. Anything but private excludes the network section, save for mode host with host. Default: private.
   */
  network?: string;
  /**
   * Process numbers; private makes the process number 1. Default: private.
   */
  pid?: string;
  /**
   * System V and POSIX message queues, semaphores, shared memory. Default: private.
   */
  ipc?: string;
  /**
   * Host and domain name. Default: private.
   */
  uts?: string;
  /**
   * The mount table. Default: private.
   */
  mount?: string;
  /**
   * The root of the cgroup tree as the process sees it. Default: private.
   */
  cgroup?: string;
}
/**
 * Limits kept by cgroups: one set of words, for cgroup v1, v2 and hybrid hosts. A limit whose controller is missing is an error. Default: no limits.
 */
export interface Resources {
  /**
   * How many CPUs' worth of time may be used: 0.1 is 10 % of one. At least 0.01. v2 cpu.max, v1 cpu.cfs_quota_us, with a period of 100 ms.
   */
  cpus?: number;
  /**
   * Which CPUs may be used, in the kernel's list format. cpuset.cpus.
   */
  cpuset?: string | number;
  /**
   * Share of CPU time against other cgroups when there is not enough for all, 1 to 10000; one without it has 100. v2 cpu.weight, v1 cpu.shares (1024 for 100).
   */
  cpuWeight?: number;
  /**
   * Most memory, in bytes; at least 6M, below which an OCI runtime cannot start. v2 memory.max, v1 memory.limit_in_bytes.
   */
  memory?: number | string;
  /**
   * Most swap on top of memory, in bytes; 0 forbids swapping. Goes with memory. v2 memory.swap.max, v1 memory.memsw.limit_in_bytes.
   */
  swap?: number | string;
  /**
   * Most processes and threads; runc needs at least 5 to start one. pids.max.
   */
  pids?: number;
  /**
   * Limits on block devices, one entry a device. v2 io.max, v1 blkio.throttle.*.
   */
  io?: IoLimit[];
  /**
   * true: a limit whose cgroup controller is missing on the host is a warning, not an error. Default: false.
   */
  optional?: boolean;
}
export interface IoLimit {
  /**
   * Path of the block device on the host.
   */
  device: string;
  /**
   * Bytes read a second, at most.
   */
  rbps?: number | string;
  /**
   * Bytes written a second, at most.
   */
  wbps?: number | string;
  /**
   * Read operations a second, at most.
   */
  riops?: number;
  /**
   * Write operations a second, at most.
   */
  wiops?: number;
}
/**
 * The network. Absent: a private network namespace with a loopback interface only.
 */
export interface Network {
  /**
   * bridge: a veth pair whose host end joins a bridge. veth: a point-to-point pair without a bridge. host: the host's own network. none: loopback only. The other keys need bridge or veth. Default: bridge.
   */
  mode?: "bridge" | "veth" | "host" | "none";
  /**
   * Name of the bridge. Created when missing and removed with its last user; an existing bridge of someone else is joined and never removed. Needs mode bridge. Default: runspec0.
   */
  bridge?: string;
  /**
   * IPv4 network in CIDR form, with a prefix of 8 to 30 bits. Default: the /24 around address, else the first free /24 of 10.209.0.0/16, checked against the host's routes.
   */
  subnet?: string;
  /**
   * IPv4 address of the container within the subnet. Default: the next free one.
   */
  address?: string;
  /**
   * IPv4 address of the host's end within the subnet, the container's default route. A foreign bridge gets no other one than it has. Default: that of the bridge, else the first of the subnet.
   */
  gateway?: string;
  /**
   * true: the container has an IPv6 address as well; a host without IPv6 is an error. false: IPv4 only. Default: true where the host itself has IPv6, which is a global or unique local address or a default route.
   */
  ipv6?: boolean;
  /**
   * IPv6 network in CIDR form, with a prefix of 16 to 126 bits. To set it is to ask for IPv6, as with ipv6: true. Default: that of the bridge, else the /64 around address6 or gateway6, else a unique local /64 of fd72:756e:7370::/48, chosen by the bridge's name; each is checked against the host's routes.
   */
  subnet6?: string;
  /**
   * IPv6 address of the container within subnet6, without a prefix length. To set it is to ask for IPv6, as with ipv6: true. Default: with the number that its IPv4 address has in subnet, else the next free one.
   */
  address6?: string;
  /**
   * IPv6 address of the host's end within subnet6, the container's default route. To set it is to ask for IPv6, as with ipv6: true. Default: that of the bridge, else the first of the subnet.
   */
  gateway6?: string;
  /**
   * Name of the interface inside the container. Default: eth0.
   */
  interface?: string;
  /**
   * Largest packet in bytes. Default: that of the host's egress interface. A bridge of runspec goes by the least of the containers on it. Below 1280 there is no room for IPv6: that counts as ipv6: false.
   */
  mtu?: number;
  /**
   * Hardware address of the interface: six pairs of hex digits, not a multicast one, and no other one on the bridge may have it. Quote it. Default: made from the IPv4 address.
   */
  mac?: string;
  /**
   * true: packets that leave the subnet get the host's address (masquerade), in IPv6 as in IPv4. Default: true.
   */
  nat?: boolean;
  /**
   * Ports of the host led to the container, each as an object or in the short form [HOSTIP:]HOSTPORT:CONTAINERPORT[/tcp|/udp]. Quote the short form.
   */
  ports?: Port[];
}
/**
 * Name resolution: the container's /etc/resolv.conf and /etc/hosts. Default: the host's name servers, with a loopback stub resolved to its upstream. A container that joins the network namespace of another has that one's files, but for what stands here.
 */
export interface Dns {
  /**
   * Addresses of name servers; resolvers use the first three. Default: the host's.
   */
  servers?: Ip[];
  /**
   * Domains tried for short names. Default: the host's.
   */
  search?: SearchDomain[];
  /**
   * Options of resolv.conf(5). Default: the host's.
   */
  options?: ResolverOption[];
  /**
   * Lines of /etc/hosts: name to address. Names may hold underscores. For localhost and the container's own name the address given here holds in place of the usual ones.
   */
  hosts?: {
    [k: string]: Ip;
  };
}
/**
 * What is kept from the process beyond its capabilities.
 */
export interface Security {
  /**
   * System call filter: default (an allow-list), unconfined (none), or the path of a profile in the OCI runtime's linux.seccomp format. Default: default.
   */
  seccomp?: string;
  maskedPaths?: PathList;
  readonlyPaths?: PathList1;
}

// A Plan: what one container needs on this host, as ordered idempotent steps. Plain JSON: it is
// stored, compared, printed and rendered as shell, and what is stored is enough to reverse it.
import type { DockerUserStep } from './docker-user-step.ts';
import type { LayerRecipe } from './layer-recipe.ts';
import type { ContainerSysctlsStep, ProcessStep } from './process-steps.ts';
import type { StepBase } from './step-base.ts';
import type { PortSpec } from '../load/spec.ts';

/** Bumped when a stored plan can no longer be read by newer code. */
export const PLAN_VERSION = 1;

export interface Plan {
  readonly version: typeof PLAN_VERSION;
  readonly name: string;
  /** SHA-256 of the Spec in canonical JSON; equal specs in different spellings have the same. */
  readonly specDigest: string;
  /** The OCI runtime's name and path, as `auto` was decided. */
  readonly runtime: { readonly name: string; readonly path: string };
  /** Addresses of this container, so that others choose different ones. */
  readonly lease?: Lease;
  readonly ports: readonly PortSpec[];
  /** Image that the root filesystem comes from, if it is one. */
  readonly image?: PlannedImage;
  /** Steps in an order that satisfies `needs` and `after`. */
  readonly steps: readonly Step[];
}

export interface PlannedImage {
  readonly reference: string;
  /** Digest of the manifest. */
  readonly digest: string;
  /** Values of `process` that come from the image, because the spec leaves them out. */
  readonly process: {
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
    readonly user?: string;
    readonly stopSignal?: string;
  };
}

export interface Lease {
  /** Host side: a bridge, or the host end of a point-to-point veth. */
  readonly link: string;
  readonly subnet: string;
  readonly address: string;
  readonly gateway: string;
  /** All three or none: a container on a host without IPv6 has none. */
  readonly subnet6?: string;
  readonly address6?: string;
  readonly gateway6?: string;
}

export interface DirectoryStep extends StepBase {
  readonly op: 'directory';
  readonly path: string;
  readonly mode: number;
  /** On revert: `empty` removes it when nothing is in it, `tree` with all below it, `volume` only by down --volumes. */
  readonly removal: 'empty' | 'tree' | 'volume';
  /** Folders of the layers below a writable layer: over other ones, files in it would hide what is new in them. */
  readonly layers?: readonly string[];
  /** A new volume gets content, owner and mode of the first of these folders that is not empty, else of the first. */
  readonly seeds?: readonly VolumeSeed[];
}
/** The folder at `path` in a root filesystem of these layers, lowest first. */
export type VolumeSeed = { readonly lower: readonly string[]; readonly path: string };

/** A generated file; `inPlace` keeps the inode, for files that are bind-mounted into a running container. */
export interface FileStep extends StepBase {
  readonly op: 'file';
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  readonly inPlace: boolean;
}

/** A read-only layer in the image store, made from its source when missing; it stays in the store on revert. */
export interface LayerStep extends StepBase {
  readonly op: 'layer';
  readonly layer: LayerRecipe;
}

/**
 * The topmost read-only layer: a real folder or file for every place something is mounted on, so that
 * no symlink of an image can lead a mount or a generated file to the host.
 */
export interface MountpointsStep extends StepBase {
  readonly op: 'mountpoints';
  readonly path: string;
  /** Layers below, lowest first, in which symlinks on the way to a target are resolved. */
  readonly lower: readonly string[];
  readonly targets: readonly Mountpoint[];
}

export interface Mountpoint {
  readonly path: string;
  readonly type: 'directory' | 'file';
  /** `replace`: the runtime's own places, never through a symlink. `resolve`: the user's, followed inside the root. */
  readonly symlinks: 'replace' | 'resolve';
  /** Mode of the folder below a tmpfs: runc before 1.2 gives the tmpfs that mode, whatever its own option says. */
  readonly mode?: number;
}

export interface OverlayStep extends StepBase {
  readonly op: 'overlay';
  readonly target: string;
  /** Lowest first, as in the spec; the kernel's option lists them the other way round. */
  readonly lower: readonly string[];
  /** Absent: a read-only root. */
  readonly upper?: string;
  readonly work?: string;
}

/** A folder bound on itself with private propagation, so that no mount below it reaches another mount namespace. */
export interface PrivateMountStep extends StepBase {
  readonly op: 'private-mount';
  readonly path: string;
}

/** A cgroup v2 controller, switched on for the children of the root cgroup. */
export interface ControllerStep extends StepBase {
  readonly op: 'controller';
  readonly mountpoint: string;
  readonly controller: string;
}

export interface CgroupStep extends StepBase {
  readonly op: 'cgroup';
  /** Path below the root of each hierarchy, as in `/runspec/web`. */
  readonly path: string;
  readonly hierarchies: readonly CgroupHierarchy[];
}

export interface CgroupHierarchy {
  readonly version: 1 | 2;
  /** Mount point, as in `/sys/fs/cgroup/memory`. */
  readonly mountpoint: string;
  /** v2: controllers to enable on the way down; v1: the hierarchy's controllers. */
  readonly controllers: readonly string[];
  /** Limit files and the text to write, in writing order, except that the op raises memory+swap before memory. */
  readonly files: readonly { readonly name: string; readonly value: string }[];
}

/** /run/netns as a shared mount, where `ip netns` keeps the names. */
export interface NetnsFolderStep extends StepBase {
  readonly op: 'netns-folder';
}

/** A named network namespace below /run/netns, with loopback up. */
export interface NetnsStep extends StepBase {
  readonly op: 'netns';
  readonly name: string;
  /** Names of the sysctls that the spec sets in it, sorted. One that is dropped gets the value of a new namespace. */
  readonly sysctls?: readonly string[];
}

export interface BridgeStep extends StepBase {
  readonly op: 'bridge';
  readonly name: string;
  /** With prefix length, as in `10.209.0.1/24`. */
  readonly address: string;
  readonly address6?: string;
  /** The mtu of a new bridge; from its first port on a bridge has the least mtu of its ports. */
  readonly mtu: number;
}

export interface VethStep extends StepBase {
  readonly op: 'veth';
  /** Host end; carries the alias `runspec:NAME`. */
  readonly link: string;
  readonly alias: string;
  readonly netns: string;
  /** Name of the other end, in the namespace. */
  readonly interface: string;
  readonly mtu: number;
  readonly mac: string;
  /** Bridge that the host end joins; absent in point-to-point mode, where the host end has `address` itself. */
  readonly bridge?: string;
  /** The bridge may send a packet back by the port it came from: a container that calls its own published port. */
  readonly hairpin?: true;
  readonly address?: string;
  readonly address6?: string;
}

/** Addresses and routes of one interface inside the namespace. */
export interface AddressStep extends StepBase {
  readonly op: 'address';
  readonly netns: string;
  readonly interface: string;
  readonly address: string;
  readonly gateway: string;
  readonly address6?: string;
  readonly gateway6?: string;
}

/** A sysctl of the host; its former value comes back with its last user. */
export interface SysctlStep extends StepBase {
  readonly op: 'sysctl';
  /** Path below /proc/sys with dots, as in `net.ipv4.ip_forward`. */
  readonly key: string;
  readonly value: string;
}

/** The table `inet runspec` with its chains, sets and maps, all empty. */
export interface NftTableStep extends StepBase {
  readonly op: 'nft-table';
  readonly table: string;
  readonly sets: readonly { readonly name: string; readonly declaration: string }[];
  /** `header` is what nft wants before the rules, as in `type nat hook output priority -100; policy accept;`. */
  readonly chains: readonly {
    readonly name: string;
    readonly header: string;
    readonly rules: readonly string[];
  }[];
}

/** One element of a set or map of the table. */
export interface NftElementStep extends StepBase {
  readonly op: 'nft-element';
  readonly table: string;
  readonly set: string;
  /** Key as nft writes it, as in `tcp . 8080`. */
  readonly key: string;
  /** Maps only, as in `10.209.0.2 . 80`. */
  readonly value?: string;
  /** Owner, as in `runspec:web`; for shared elements `runspec`. */
  readonly comment: string;
}

/**
 * A table of the container's own at the host end of its veth. It leads the container's answers to the address that
 * stands for ::1 on to lo: the kernel takes packets for ::1 from no other interface.
 */
export interface NftIngressStep extends StepBase {
  readonly op: 'nft-ingress';
  /** Name of the table, of family netdev. */
  readonly table: string;
  readonly link: string;
  /** The container's IPv6 address. */
  readonly address: string;
  /** Address that containers see instead of ::1. */
  readonly loopback: string;
}

/**
 * The OCI bundle's config.json, into which users, namespaces of other containers and the seccomp profile are filled
 * when it is written.
 */
export interface BundleStep extends StepBase {
  readonly op: 'bundle';
  /** Folder of config.json. */
  readonly path: string;
  /** The mounted root, for looking up users and args[0]. */
  readonly rootfs: string;
  /** `user[:group]` as in the spec. */
  readonly user: string;
  readonly additionalGids: readonly number[];
  /** `default`, `unconfined` or a path. */
  readonly seccomp: string;
  /** Namespaces to take from other containers, by OCI type. */
  readonly join: readonly { readonly type: string; readonly container: string }[];
  /** OCI runtime configuration, without the parts that are filled in when it is written. */
  readonly config: Readonly<Record<string, unknown>>;
}

export type { ProcessStep } from './process-steps.ts';

export type Step =
  | DirectoryStep
  | FileStep
  | LayerStep
  | MountpointsStep
  | OverlayStep
  | PrivateMountStep
  | ControllerStep
  | CgroupStep
  | NetnsFolderStep
  | NetnsStep
  | BridgeStep
  | VethStep
  | AddressStep
  | SysctlStep
  | NftTableStep
  | NftElementStep
  | NftIngressStep
  | DockerUserStep
  | BundleStep
  | ProcessStep
  | ContainerSysctlsStep;

export type OpKind = Step['op'];
export type StepOf<K extends OpKind> = Extract<Step, { op: K }>;

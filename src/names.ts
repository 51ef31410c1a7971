// Names of runspec's things in the kernel of a host, by which they are known to be ours with a record or without. Pure.
import { sha256 } from './crypto.ts';

/** Owner of what several containers have together: alias of a bridge, comment of an nftables element. */
export const OURS = 'runspec';

/** Owner of what is one container's: alias of its link, comment of its elements and rules, as in `runspec:web`. */
export function ownerOf(container: string): string {
  return `${OURS}:${container}`;
}

/** Whether an alias or comment says that runspec made it, for one container or for several. */
export function isOwned(owner: string | undefined): boolean {
  return owner?.split(':')[0] === OURS;
}

/** @returns the container that an alias or comment names; undefined for what is shared, and for what others own. */
export function containerOfOwner(owner: string | undefined): string | undefined {
  return afterPrefix(owner, ownerOf(''));
}

/** Names of network namespaces, as iproute2 keeps them. */
export const NETNS_FOLDER = '/run/netns';

/** A container's network namespace in that folder. */
export function netnsOf(container: string): string {
  return `runspec-${container}`;
}

/** @param netns a name in that folder. */
export function netnsFile(netns: string): string {
  return `${NETNS_FOLDER}/${netns}`;
}

export function containerOfNetns(netns: string): string | undefined {
  return afterPrefix(netns, netnsOf(''));
}

/** Host end of the veth pair: `rs` and 8 hex digits, as link names hold 15 characters. */
export function vethName(container: string): string {
  return `rs${sha256(container).slice(0, 8)}`;
}

/** Table of family `inet` that all containers have together. */
export const NFT_TABLE = 'runspec';

/** Table of family `netdev` at a container's own link. */
export function ingressTableOf(container: string): string {
  return `runspec-${container}`;
}

export function containerOfIngressTable(table: string): string | undefined {
  return afterPrefix(table, ingressTableOf(''));
}

/** Chain of iptables to which DOCKER-USER leads a network's packets: at most 23 characters of the 28 that it allows. */
export function networkChain(link: string): string {
  return `runspec-${link}`;
}

/** Cgroup above those of all containers, in each hierarchy. */
export const CGROUP_ROOT = '/runspec';

export function cgroupOf(container: string): string {
  return `${CGROUP_ROOT}/${container}`;
}

/** No container has a dot in its name. */
const MONITOR_SUFFIX = '.monitor';

/** Cgroup of a container's conmon. */
export function monitorCgroupOf(container: string): string {
  return monitorCgroupBeside(cgroupOf(container));
}

/** @param cgroup the container's own. */
export function monitorCgroupBeside(cgroup: string): string {
  return `${cgroup}${MONITOR_SUFFIX}`;
}

/** @returns the container that a process is of, by the text of its /proc/PID/cgroup: cgroups(7). */
export function containerOfProcess(cgroups: string): string | undefined {
  // The root of what is mounted may come before. A container's process may be in a cgroup below the container's.
  const folder = new RegExp(`^\\d+:[^:]*:.*?${CGROUP_ROOT}/([^/\n]+)`, 'm').exec(cgroups)?.[1];
  return folder === undefined ? undefined : containerOfCgroup(folder);
}

/** @returns the container of a folder in CGROUP_ROOT. */
export function containerOfCgroup(folder: string): string {
  return folder.endsWith(MONITOR_SUFFIX) ? folder.slice(0, -MONITOR_SUFFIX.length) : folder;
}

function afterPrefix(text: string | undefined, prefix: string): string | undefined {
  return text?.startsWith(prefix) === true ? text.slice(prefix.length) : undefined;
}

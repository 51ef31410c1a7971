// Holders: processes that keep a mount or a network namespace from going, found by /proc, which also shows what other
// mount namespaces hold. Reads only; a process that ends meanwhile holds nothing.
import { splitDevice } from './device-number.ts';
import type { Host } from './host.ts';
import { readMounts, type MountState } from './kernel-view.ts';
import { listOrNothing, listPids, orNothing, readLinkOrNothing, readOrNothing } from './proc-files.ts';

export interface Holder {
  readonly pid: number;
  readonly command: string;
  /** Way of holding, as in `its working folder`. */
  readonly by: string;
}

/** Text for people, as in `sleep (pid 12, its working folder)`; at most three are named. */
export function describeHolders(holders: readonly Holder[]): string {
  const shown = holders.slice(0, 3).map(({ pid, command, by }) => `${command} (pid ${pid}, ${by})`);
  return [...shown, ...(holders.length > 3 ? [`${holders.length - 3} more`] : [])].join(', ');
}

/** Processes that make umount(2) of `target` say EBUSY. */
export async function findMountUsers(host: Host, target: string): Promise<readonly Holder[]> {
  return findHolders(host, (folder) => howItUses(host, folder, target));
}

/**
 * Processes that use a copy of a mount, in a mount namespace that was made while the mount was there. The copy alone is
 * no hindrance: rmdir(2) of the folder below it makes the kernel drop it.
 */
export async function findCopyUsers(
  host: Host,
  isIt: (mount: MountState) => boolean,
): Promise<readonly Holder[]> {
  const targets = new Map<string, string | undefined>([
    [(await readLinkOrNothing(host, '/proc/self/ns/mnt')) ?? '', undefined],
  ]);
  return findHolders(host, async (folder) => {
    const namespace = (await readLinkOrNothing(host, `${folder}/ns/mnt`)) ?? '';
    if (namespace !== '' && !targets.has(namespace))
      targets.set(namespace, (await readMountsOf(host, folder)).find(isIt)?.target);
    const target = targets.get(namespace);
    const how = target === undefined ? undefined : await howItUses(host, folder, target);
    return how === undefined ? undefined : `${how}, in a mount namespace of its own`;
  });
}

async function howItUses(host: Host, folder: string, target: string): Promise<string | undefined> {
  const isInside = (path: string | undefined): boolean =>
    path !== undefined && (path === target || path.startsWith(`${target}/`));
  for (const [name, by] of [
    ['cwd', 'its working folder'],
    ['root', 'its root'],
    ['exe', 'its program'],
  ] as const) {
    const path = await readLinkOrNothing(host, `${folder}/${name}`);
    if (path === undefined ? await isDeepInside(host, folder, name, isInside) : isInside(path)) return by;
  }
  for (const fd of await listOrNothing(host, `${folder}/fd`)) {
    const path = await readLinkOrNothing(host, `${folder}/fd/${fd}`);
    if (isInside(path)) return `open ${path}`;
    if (path === undefined && (await isDeepInside(host, folder, `fd/${fd}`, isInside)))
      return `open far below ${target}`;
  }
  // man 5 proc: address perms offset device inode path
  const mapped = (await readOrNothing(host, `${folder}/maps`))
    ?.split('\n')
    .map((line) => /^(?:\S+ ){4}\S+ +(.*)$/.exec(line)?.[1])
    .find(isInside);
  return mapped === undefined ? undefined : `mapped ${mapped}`;
}

/** Whether a file too deep for a path is inside: told by its file system, when all mounts of that are inside. */
async function isDeepInside(
  host: Host,
  folder: string,
  link: string,
  isInside: (path: string) => boolean,
): Promise<boolean> {
  const found = await orNothing(host.statusOfTarget(`${folder}/${link}`));
  if (found === undefined) return false;
  const { major, minor } = splitDevice(BigInt(found.device));
  const mounts = (await readMountsOf(host, folder)).filter(({ device }) => device === `${major}:${minor}`);
  return mounts.length > 0 && mounts.every((mount) => isInside(mount.target));
}

/**
 * Other holders of the network namespace at `path`: processes in it or with an open descriptor of it, and mounts of it
 * at other places.
 * @param among looks at these processes only.
 */
export async function findNamespaceHolders(
  host: Host,
  path: string,
  among?: readonly Holder[],
): Promise<readonly Holder[]> {
  const inode = (await host.status(path))?.inode;
  const name = `net:[${inode}]`;
  const own = await readLinkOrNothing(host, '/proc/self/ns/mnt');
  const seen = new Set<string>();
  const pids = among?.map(({ pid }) => String(pid)) ?? (await listPids(host));
  return findHoldersAmong(host, pids, async (folder) => {
    if ((await readLinkOrNothing(host, `${folder}/ns/net`)) === name) return 'it runs in it';
    const descriptor = await findDescriptor(host, folder, path, inode);
    if (descriptor !== undefined) return `open as its file descriptor ${descriptor}`;
    const namespace = await readLinkOrNothing(host, `${folder}/ns/mnt`);
    if (namespace === undefined || seen.has(namespace)) return undefined;
    seen.add(namespace);
    // A copy of this mount in another mount namespace does not count: it goes with the file it is mounted on.
    const bound = (await readMountsOf(host, folder)).find(
      ({ root, target, type }) => type === 'nsfs' && root === name && target !== path,
    );
    if (bound === undefined) return undefined;
    return namespace === own ? `bound at ${bound.target}` : `bound at ${bound.target} in its mount namespace`;
  });
}

/**
 * Descriptor that holds the namespace. The link of one opened in /proc/PID/ns is `net:[INODE]`; of one opened by name
 * it is a path below /run/netns, which may mean another namespace in another mount namespace.
 */
async function findDescriptor(
  host: Host,
  folder: string,
  path: string,
  inode: number | undefined,
): Promise<string | undefined> {
  const base = path.slice(path.lastIndexOf('/'));
  for (const fd of await listOrNothing(host, `${folder}/fd`)) {
    const link = (await readLinkOrNothing(host, `${folder}/fd/${fd}`)) ?? '';
    if (link === `net:[${inode}]`) return fd;
    if (!link.replace(/ \(deleted\)$/, '').endsWith(base)) continue;
    // fdinfo has the inode since Linux 5.14; before, the path has to do.
    const opened = /^ino:\s*(\d+)$/m.exec((await readOrNothing(host, `${folder}/fdinfo/${fd}`)) ?? '')?.[1];
    if (opened === undefined ? link === path : Number(opened) === inode) return fd;
  }
  return undefined;
}

async function findHolders(
  host: Host,
  look: (folder: string) => Promise<string | undefined>,
): Promise<readonly Holder[]> {
  return findHoldersAmong(host, await listPids(host), look);
}

async function findHoldersAmong(
  host: Host,
  pids: readonly string[],
  look: (folder: string) => Promise<string | undefined>,
): Promise<readonly Holder[]> {
  const holders: Holder[] = [];
  for (const name of pids) {
    const by = await look(`/proc/${name}`);
    if (by === undefined) continue;
    const command = (await readOrNothing(host, `/proc/${name}/comm`))?.trim() ?? 'a process';
    holders.push({ pid: Number(name), command, by });
  }
  return holders;
}

async function readMountsOf(host: Host, folder: string): Promise<readonly MountState[]> {
  return (await orNothing(readMounts(host, folder))) ?? [];
}

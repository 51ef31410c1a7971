// The owner of a container's name on the host when no record tells: names are the host's, while records are in one data
// folder, and another runspec with other folders may be at work on the same host. Reads only.
import type { Host } from '../host/host.ts';
import { createKernelView, type MountState } from '../host/kernel-view.ts';
import { listPids, unescapeOctal } from '../host/proc-files.ts';
import { cgroupOf, containerOfOwner, monitorCgroupOf, netnsOf, netnsFile } from '../names.ts';
import type { Step } from '../plan/plan.ts';
import { cgroupFolders } from '../runtime/cgroup-processes.ts';
import { readProcFile } from '../runtime/proc.ts';
import { isOwnFolder, type Places } from './inventory.ts';

export type Claim =
  /** A folder, a mount or a process of that name is in this runspec's folders. */
  | { readonly by: 'us' }
  /** A container of that name is in other folders; `where` names its data folder if that can be seen. */
  | { readonly by: 'others'; readonly where: string }
  /** No trace but the name itself says whose it is. */
  | { readonly by: 'nobody' };

export async function findClaim(places: Places, name: string): Promise<Claim> {
  const { host, view, stateDir, dataDir } = places;
  const mounts = await view.mounts();
  const seen = [
    ...dataDirsOfMounts(mounts, dataDir, name),
    ...(await dataDirsOfProcesses(places, mounts, name)),
  ];
  const other = seen.find((found) => found !== dataDir);
  if (other !== undefined) return { by: 'others', where: other };
  const isOurs =
    seen.length > 0 ||
    mounts.some(({ target }) => target === `${stateDir}/${name}/rootfs`) ||
    (await host.status(`${stateDir}/${name}`)) !== undefined ||
    (await isOwnFolder(places, name));
  return { by: isOurs ? 'us' : 'nobody' };
}

/** The bridge that a shared step is made for; undefined when the step concerns the whole host. */
export function bridgeOf(step: Step): string | undefined {
  if (step.op === 'bridge') return step.name;
  if (step.op === 'docker-user') return step.link;
  return step.op === 'nft-element' ? step.key.split(' . ')[0] : undefined;
}

/**
 * A container in other folders that has a link on this host, and so needs what is set for the whole host.
 *
 * @param container the one that is being taken down, which does not count.
 * @param bridge counts only links on this bridge, for what is made for the bridge.
 */
export async function findForeignUser(
  places: Places,
  container: string,
  bridge?: string,
): Promise<{ readonly name: string; readonly where: string } | undefined> {
  const linked = async ({ view }: Places): Promise<readonly string[]> =>
    (await view.links()).flatMap(({ alias, master }) => {
      if (bridge !== undefined && master !== bridge) return [];
      const name = containerOfOwner(alias) ?? container;
      return name === container ? [] : [name];
    });
  if ((await linked(places)).length === 0) return undefined;
  // A user may have gone since the kernel was read: to keep a step for it would leave the step's object for ever.
  const fresh = { ...places, view: createKernelView(places.host) };
  for (const name of await linked(fresh)) {
    const claim = await findClaim(fresh, name);
    if (claim.by === 'others') return { name, where: claim.where };
  }
  return undefined;
}

/** Data folders by mounted roots, whose options name the layer of mount points in the container's record folder. */
function dataDirsOfMounts(mounts: readonly MountState[], dataDir: string, name: string): readonly string[] {
  return mounts
    .filter(({ type, target }) => type === 'overlay' && target.endsWith(`/${name}/rootfs`))
    .flatMap(({ superOptions }) => dataDirIn(superOptions, dataDir, name));
}

/** The data folder whose record folder of the container is named in `text`, which has arguments or mount options. */
function dataDirIn(text: string, dataDir: string, name: string): readonly string[] {
  // Overlayfs escapes paths in its options with backslashes, mountinfo with octal digits.
  const plain = unescapeOctal(text.replaceAll(/\\([\\:,])/g, '$1'));
  if (plain.includes(`${dataDir}/containers/${name}/`)) return [dataDir];
  const place = new RegExp(`(/[^=:\0 ,]+)/containers/${name}(?:/|$|[:\0 ,])`).exec(plain)?.[1];
  return place === undefined ? [] : [place];
}

/**
 * Data folders by the monitor's arguments and by the root mount of the container's processes. The arguments of these do
 * not count, since they can rewrite them.
 */
async function dataDirsOfProcesses(
  { host, dataDir }: Places,
  mounts: readonly MountState[],
  name: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await pidsOf(host, mounts, monitorCgroupOf(name))) {
    if (pid === UNSEEN) found.push(ELSEWHERE);
    found.push(...dataDirIn((await readProcFile(host, `/proc/${pid}/cmdline`)) ?? '', dataDir, name));
  }
  for (const pid of await pidsOf(host, mounts, cgroupOf(name))) {
    if (pid === UNSEEN) found.push(ELSEWHERE);
    const root = ((await readProcFile(host, `/proc/${pid}/mountinfo`)) ?? '')
      .split('\n')
      .find((line) => / \/ \/ .* - overlay /.test(line));
    found.push(...dataDirIn(root ?? '', dataDir, name));
  }
  return found;
}

/** The pid that cgroup.procs shows for a process outside our pid namespace. */
const UNSEEN = '0';
const ELSEWHERE = 'a place that cannot be seen from here';

async function pidsOf(host: Host, mounts: readonly MountState[], cgroup: string): Promise<readonly string[]> {
  const folders = cgroupFolders(mounts, cgroup);
  const texts = await Promise.all(folders.map(({ folder }) => readProcFile(host, `${folder}/cgroup.procs`)));
  return [...new Set(texts.flatMap((text) => (text ?? '').split('\n')))].filter((pid) => pid !== '');
}

/**
 * Why a name that nobody claims is better left alone: another runspec may just be making its container, and its first
 * objects do not tell the data folder yet. Undefined when they can safely be taken for wreckage.
 */
export async function findDoubt(
  places: Places,
  name: string,
  kinds: ReadonlySet<string>,
): Promise<string | undefined> {
  const { host, view, dataDir } = places;
  const netns = kinds.has('netns') ? await view.netns(netnsOf(name)) : undefined;
  const foreign = netns?.links.find((link) => link.name !== 'lo' && link.kind !== 'veth');
  if (foreign !== undefined) return `its namespace has a link of somebody else: ${foreign.name}`;
  const holder = kinds.has('netns') ? await findProcessIn(host, netnsFile(netnsOf(name))) : undefined;
  if (holder !== undefined) return `process ${holder} is in its network namespace`;
  const busy = await findOtherAtWork(host, dataDir);
  if (busy !== undefined) return `${busy} may be at work on it`;
  const isAllSeen = (await quietly(host.readLink('/proc/self/ns/pid'))) === FIRST_PID_NAMESPACE;
  // Links and namespaces are this host's own; cgroups are the whole machine's.
  const onlyCgroup = [...kinds].every((kind) => kind === 'cgroup' || kind === 'process');
  if (onlyCgroup && !isAllSeen) return 'it may be of a runspec outside this pid namespace';
  return undefined;
}

/** The first pid namespace (PROC_PID_INIT_INO of include/linux/proc_ns.h), which shows all processes of the machine. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/** A process of root's that has the lock of another data folder open; others cannot be a runspec at work. */
async function findOtherAtWork(host: Host, dataDir: string): Promise<string | undefined> {
  for (const pid of await listPids(host)) {
    if ((await quietly(host.status(`/proc/${pid}`)))?.uid !== 0) continue;
    for (const fd of (await quietly(host.list(`/proc/${pid}/fd`))) ?? []) {
      const path = (await quietly(host.readLink(`/proc/${pid}/fd/${fd}`))) ?? '';
      const folder = /^(\/.+)\/\.lock$/.exec(path)?.[1];
      if (folder === undefined || folder === dataDir) continue;
      // Other programs have a `.lock` too. A runspec's is beside `containers`, which is made before the first object.
      const records = `/proc/${pid}/root${folder}/containers`;
      if ((await quietly(host.status(records))) !== undefined)
        return `the runspec with the lock ${path} (pid ${pid})`;
    }
  }
  return undefined;
}

async function findProcessIn(host: Host, netns: string): Promise<string | undefined> {
  const inode = (await host.status(netns))?.inode;
  for (const pid of await listPids(host)) {
    if ((await quietly(host.readLink(`/proc/${pid}/ns/net`))) === `net:[${inode}]`) return pid;
  }
  return undefined;
}

/** Undefined for a process that ends during the look, or that root of a user namespace may not look at. */
async function quietly<T>(looking: Promise<T>): Promise<T | undefined> {
  return looking.catch(() => undefined);
}

// The objects of a container that are on the host, read from the kernel and the folders alone: each names its owner.
// Each is given as a step, so that an object without a record is reverted by the same code as any other.
import { UNFINISHED_WRITE, type Host } from '../host/host.ts';
import type { KernelView, MountState } from '../host/kernel-view.ts';
import { jumpsTo } from '../host/docker-user.ts';
import { topMount } from '../host/mount-lookup.ts';
import {
  CGROUP_ROOT,
  cgroupOf,
  containerOfCgroup,
  containerOfIngressTable,
  containerOfNetns,
  containerOfOwner,
  ingressTableOf,
  monitorCgroupOf,
  NETNS_FOLDER,
  netnsOf,
  netnsFile,
  NFT_TABLE,
  OURS,
  ownerOf,
  vethName,
} from '../names.ts';
import { STATE_MODE } from '../ops/private-mount.ts';
import type { DockerUserStep } from '../plan/docker-user-step.ts';
import type { CgroupStep, DirectoryStep, NftElementStep, Step, VethStep } from '../plan/plan.ts';
import {
  containerFolder,
  GROWING_FILES,
  RECORD_FILES,
  RECORD_FOLDERS,
  SET_ASIDE,
} from '../plan/container-folder.ts';
import { cgroupFolders } from '../runtime/cgroup-processes.ts';
import { isName } from './records.ts';

export interface Places {
  readonly host: Host;
  readonly view: KernelView;
  readonly stateDir: string;
  readonly dataDir: string;
}

/** Names of containers that objects on the host bear, and names of folders that may be a container's; sorted. */
export async function findNames(places: Places): Promise<readonly string[]> {
  const { host, view, stateDir, dataDir } = places;
  const below = async (folder: string): Promise<readonly string[]> => (await host.list(folder)) ?? [];
  const cgroups = cgroupFolders(await view.mounts(), CGROUP_ROOT).map(({ folder }) => below(folder));
  const found = [
    ...(await view.links()).map(({ alias }) => containerOfOwner(alias)),
    ...(await view.netdevTables()).map(containerOfIngressTable),
    ...(await elements(view)).map(({ comment }) => containerOfOwner(comment)),
    ...(await dockerRules(view)).map(({ comment }) => containerOfOwner(comment)),
    ...(await below(NETNS_FOLDER)).map(containerOfNetns),
    // The kernel's own files in a cgroup have a dot in their names, or are no folders.
    ...(await Promise.all(cgroups)).flat().map(containerOfCgroup),
    ...(await below(stateDir)),
    ...(await below(`${dataDir}/containers`)),
  ];
  return [...new Set(found.filter((name) => name !== undefined))].filter(isName).toSorted();
}

/**
 * The steps that would have made the objects of that name, without shared ones, in an order that satisfies their edges.
 */
export async function takeInventory(places: Places, name: string): Promise<readonly Step[]> {
  const { host, view, stateDir, dataDir } = places;
  const mounts = await view.mounts();
  const state = `${stateDir}/${name}`;
  const steps: Step[] = [];
  if (await holdsOnly(host, state, isStateEntry)) {
    steps.push(directory('dir:state', state, 'empty', []));
    steps.push(directory('dir:rootfs', `${state}/rootfs`, 'empty', ['dir:state']));
    steps.push(directory('dir:runtime', `${state}/runtime`, 'tree', ['dir:state']));
  }
  if (topMount(mounts, `${state}/rootfs`) !== undefined)
    steps.push({
      id: 'overlay:rootfs',
      op: 'overlay',
      target: `${state}/rootfs`,
      // The overlay's topmost layer: by it the op recognizes copies of the mount in other mount namespaces.
      lower: [`${containerFolder(dataDir, name)}/${RECORD_FOLDERS.mountpoints}`],
      ...edges('dir:rootfs'),
    });
  const cgroups = await findCgroups(host, mounts, name);
  if (cgroups.hierarchies.length > 0) steps.push(cgroups);
  const netns = netnsOf(name);
  if ((await host.status(netnsFile(netns))) !== undefined)
    steps.push({ id: `netns:${netns}`, op: 'netns', name: netns, ...edges() });
  for (const link of await view.links()) {
    // A kill between making a veth pair and setting its alias leaves only the link's name, a hash of the container's.
    const isNameless = link.alias === undefined && link.kind === 'veth' && link.name === vethName(name);
    if (link.alias === ownerOf(name) || isNameless) steps.push(veth(link.name, name));
  }
  const links = steps.flatMap((step) => (step.op === 'veth' ? [step.id] : []));
  if ((await view.netdevTables()).includes(ingressTableOf(name))) steps.push(ingressOf(name, links));
  steps.push(...(await elements(view)).filter(({ comment }) => comment === ownerOf(name)));
  steps.push(...(await dockerRules(view)).filter(({ comment }) => comment === ownerOf(name)));
  const folder = containerFolder(dataDir, name);
  const isOurs = await isOwnFolder(places, name);
  const mayRun = cgroups.hierarchies.length > 0 || isOurs || (await monitorIsThere(host, mounts, name));
  // The process needs all other objects here, so that it is ended before any of them is removed.
  const stands = steps.map((step) => step.id);
  if (isOurs) steps.push(directory('dir:record', folder, 'tree', []));
  if (mayRun) steps.push(processOf(name, state, folder, [...stands, ...(isOurs ? ['dir:record'] : [])]));
  return steps;
}

function ingressOf(name: string, needs: readonly string[]): Step {
  const link = vethName(name);
  const unknown = { address: '', loopback: '', ...edges(...needs) };
  return { id: `ingress:${link}`, op: 'nft-ingress', table: ingressTableOf(name), link, ...unknown };
}

const isStateEntry = (name: string): boolean => name === 'rootfs' || name === 'runtime';

const RECORD_ENTRIES: ReadonlySet<string> = new Set([
  ...Object.values(RECORD_FILES).flatMap((name) => [
    name,
    `${name}${SET_ASIDE}`,
    `.${name}${UNFINISHED_WRITE}`,
  ]),
  ...Object.values(GROWING_FILES),
  ...Object.values(RECORD_FOLDERS),
]);
const isRecordEntry = (name: string): boolean => RECORD_ENTRIES.has(name);

/**
 * Whether the container's record folder is runspec's, its records readable or not: another program may have one there.
 */
export function isOwnFolder({ host, dataDir }: Places, name: string): Promise<boolean> {
  return holdsOnly(host, containerFolder(dataDir, name), isRecordEntry);
}

/** Whether the folder is root's alone and holds nothing but what runspec makes there. */
async function holdsOnly(host: Host, folder: string, isOurs: (name: string) => boolean): Promise<boolean> {
  const found = await host.status(folder);
  if (found?.type !== 'directory' || found.mode !== 0o700 || found.uid !== 0) return false;
  return ((await host.list(folder)) ?? []).every(isOurs);
}

/** The elements of runspec's nft table that have an owner: a container, or a bridge that several share. */
async function elements(view: KernelView): Promise<readonly NftElementStep[]> {
  const sets = (await view.nftTable(NFT_TABLE))?.sets ?? new Map<string, never>();
  return [...sets].flatMap(([set, found]) =>
    found.flatMap(({ key, value, comment }): readonly NftElementStep[] => {
      if (comment === undefined) return [];
      const more = value === undefined ? {} : { value };
      return [
        {
          id: `element:${set} ${key}`,
          op: 'nft-element',
          table: NFT_TABLE,
          set,
          key,
          comment,
          ...more,
          ...edges(),
        },
      ];
    }),
  );
}

/** Rules in DOCKER-USER that bear runspec's comment, and chains that such a rule led to. */
async function dockerRules(view: KernelView): Promise<readonly DockerUserStep[]> {
  const found = (await view.hasDocker('thorough')) ? await view.dockerUser() : undefined;
  if (found === undefined) return [];
  return [...found.networks.keys()].map((link) => {
    // When somebody has emptied DOCKER-USER, no jump leads to the chain and tells its owner: it then counts as shared.
    const comment = jumpsTo(found, link)[0]?.comment ?? OURS;
    return { id: `docker:${link}`, op: 'docker-user', link, comment, ...edges() };
  });
}

/**
 * Shared objects: the nft table, bridges, their elements and rules, and the mount of the state folder. Elements need
 * the table, so that they are removed before it.
 */
export async function takeSharedInventory({ host, view, stateDir }: Places): Promise<readonly Step[]> {
  const bridges = (await view.links()).filter((link) => link.kind === 'bridge' && link.alias === OURS);
  const shared = { shared: true } as const;
  const isMounted = topMount(await view.mounts(), stateDir) !== undefined;
  const isMade = isMounted || (await host.status(stateDir))?.mode === STATE_MODE;
  const table = (await view.nftTable(NFT_TABLE)) === undefined ? [] : [NFT_TABLE];
  return [
    ...table.map((name): Step => ({
      id: 'nft:table',
      op: 'nft-table',
      table: name,
      sets: [],
      chains: [],
      ...edges(),
      ...shared,
    })),
    ...bridges.map(({ name, mtu }): Step => ({
      id: `bridge:${name}`,
      op: 'bridge',
      name,
      address: '',
      mtu,
      ...edges(),
      ...shared,
    })),
    ...(await elements(view))
      .filter(({ comment }) => comment === OURS)
      .map((step): Step => ({ ...step, ...shared, needs: ['nft:table'] })),
    ...(await dockerRules(view))
      .filter(({ comment }) => comment === OURS)
      .map((step): Step => ({ ...step, ...shared })),
    ...(isMade
      ? [{ id: `mount:${stateDir}`, op: 'private-mount', path: stateDir, ...edges(), ...shared } as const]
      : []),
  ];
}

function edges(...needs: readonly string[]): Pick<Step, 'needs' | 'after'> {
  return { needs, after: [] };
}

function directory(
  id: string,
  path: string,
  removal: DirectoryStep['removal'],
  needs: readonly string[],
): DirectoryStep {
  return { id, op: 'directory', path, mode: 0o700, removal, ...edges(...needs) };
}

async function findCgroups(host: Host, mounts: readonly MountState[], name: string): Promise<CgroupStep> {
  const path = cgroupOf(name);
  const found = cgroupFolders(mounts, path);
  const there = await Promise.all(found.map(({ folder }) => host.status(folder)));
  const hierarchies = found.flatMap(({ version, controllers, folder }, index) =>
    there[index]?.type !== 'directory'
      ? []
      : [{ version, controllers, mountpoint: folder.slice(0, -path.length), files: [] }],
  );
  return { id: 'cgroup', op: 'cgroup', path, hierarchies, ...edges() };
}

async function monitorIsThere(host: Host, mounts: readonly MountState[], name: string): Promise<boolean> {
  const found = cgroupFolders(mounts, monitorCgroupOf(name));
  const there = await Promise.all(found.map(({ folder }) => host.status(folder)));
  return there.some((one) => one !== undefined);
}

function veth(link: string, name: string): VethStep {
  const netns = netnsOf(name);
  return {
    id: `veth:${link}`,
    op: 'veth',
    link,
    alias: ownerOf(name),
    netns,
    interface: '',
    mtu: 0,
    mac: '',
    ...edges(),
  };
}

function processOf(container: string, state: string, folder: string, needs: readonly string[]): Step {
  return {
    id: 'process',
    op: 'process',
    container,
    bundle: `${folder}/${RECORD_FOLDERS.bundle}`,
    // Without a record the runtime is unknown. As `runc` its state is removed as a folder, which is right for crun too.
    runtime: { name: 'runc', path: 'runc' },
    runtimeRoot: `${state}/runtime`,
    records: folder,
    log: `${folder}/${GROWING_FILES.log}`,
    terminal: false,
    stopSignal: 'SIGTERM',
    stopTimeout: 10_000,
    cgroup: cgroupOf(container),
    ...edges(...needs),
  };
}

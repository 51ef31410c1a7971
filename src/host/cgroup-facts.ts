// Cgroup hierarchies of this host: v1, v2 or both, controller by controller.
import type { CgroupFacts } from '../plan/facts.ts';
import type { Host } from './host.ts';
import type { KernelView, MountState } from './kernel-view.ts';

export async function readCgroups(host: Host, view: KernelView): Promise<CgroupFacts> {
  const mounts = (await view.mounts()).filter((mount) => mount.type === 'cgroup' || mount.type === 'cgroup2');
  // A hierarchy may be mounted at several places: the first is the usual one below /sys/fs/cgroup.
  const unique = mounts.filter(
    (mount) => mounts.find((other) => hierarchyKey(other) === hierarchyKey(mount)) === mount,
  );
  // A mount that another one covers is still listed, but nothing can be reached through it.
  const reachable = await Promise.all(unique.map((mount) => host.status(`${mount.target}/cgroup.procs`)));
  const visible = unique.filter((_, index) => reachable[index] !== undefined);
  const hierarchies = await Promise.all(visible.map((mount) => readHierarchy(host, mount)));
  const versions = new Set(hierarchies.map((hierarchy) => hierarchy.version));
  return { layout: versions.size === 2 ? 'hybrid' : versions.has(1) ? 'v1' : 'v2', hierarchies };
}

function hierarchyKey(mount: MountState): string {
  return mount.type === 'cgroup2' ? 'cgroup2' : v1Controllers(mount).join();
}

async function readHierarchy(host: Host, mount: MountState): Promise<CgroupFacts['hierarchies'][number]> {
  const { target: mountpoint } = mount;
  if (mount.type === 'cgroup') {
    const controllers = v1Controllers(mount);
    const swap =
      controllers.includes('memory') &&
      (await host.status(`${mountpoint}/memory.memsw.limit_in_bytes`)) !== undefined;
    return { version: 1, mountpoint, controllers, swap };
  }
  const controllers = ((await host.readText(`${mountpoint}/cgroup.controllers`)) ?? '')
    .trim()
    .split(' ')
    .filter((name) => name !== '');
  return {
    version: 2,
    mountpoint,
    controllers,
    swap: controllers.includes('memory') && (await hasSwapLimit(host, mountpoint)),
  };
}

/** Options of a cgroup mount that are no controllers. */
const NO_CONTROLLER =
  /^(rw|ro|xattr|none|clone_children|noprefix|cpuset_v2_mode|favordynmods|seclabel|[a-z_]+=.*)$/;

function v1Controllers(mount: MountState): readonly string[] {
  return mount.superOptions
    .split(',')
    .filter((option) => option.startsWith('name=') || !NO_CONTROLLER.test(option));
}

// The root cgroup has no memory.swap.max; any other with the memory controller has, unless booted with swapaccount=0.
async function hasSwapLimit(host: Host, mountpoint: string): Promise<boolean> {
  for (const name of (await host.list(mountpoint)) ?? []) {
    if ((await host.status(`${mountpoint}/${name}/memory.max`)) === undefined) continue;
    return (await host.status(`${mountpoint}/${name}/memory.swap.max`)) !== undefined;
  }
  return true;
}

// One cgroup in every hierarchy the host has, with its limits. v1 and v2 hierarchies may be mixed.
import { OperationError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { removeWhenEmpty } from '../host/remove-when-empty.ts';
import type { CgroupHierarchy, CgroupStep } from '../plan/plan.ts';
import { liftLimits, sameLimit, specPathOf, type LimitFile } from './cgroup-limits.ts';
import { removeCgroupFolder } from '../runtime/cgroup-processes.ts';
import { findFrozen, thaw, type FreezerState } from '../runtime/freeze.ts';
import { bringBack, findStrayed, folderOf, type Strayed } from '../runtime/cgroup-membership.ts';
import type { Difference, Op, OpContext } from './op.ts';
import { quote } from './shell.ts';
import { containerFolder } from '../plan/container-folder.ts';

export const cgroup: Op<'cgroup'> = {
  describe: (step) => {
    const limits = step.hierarchies.flatMap((hierarchy) =>
      hierarchy.files.map((file) => `${file.name}=${file.value}`),
    );
    return `cgroup ${step.path}${limits.length === 0 ? '' : ` with ${limits.join(', ')}`}`;
  },

  async probe(context, step) {
    const { host } = context;
    const found = await Promise.all(
      step.hierarchies.map((hierarchy) => probeHierarchy(host, step, hierarchy)),
    );
    if (found.every((one) => one === 'absent')) return { state: 'absent' };
    const limits = found.flatMap((one, index): readonly Difference[] => {
      if (one !== 'absent') return one;
      return [
        {
          property: 'folder',
          wanted: folderOf(step, step.hierarchies[index] as CgroupHierarchy),
          found: 'missing',
        },
      ];
    });
    const strayed = (await findStrayedOf(context, step)).map((one) => ({
      property: `cgroup of process ${one.init.pid} in ${one.hierarchy.mountpoint}`,
      wanted: step.path,
      found: one.found,
    }));
    const held = (await findFrozenOf(context, step)).map(({ file, frozen, thawed }) => ({
      property: file,
      wanted: thawed,
      found: frozen,
    }));
    const differences = [...limits, ...strayed, ...held];
    return differences.length === 0 ? { state: 'present' } : { state: 'drifted', differences, inPlace: true };
  },

  async apply(context, step) {
    const { host } = context;
    for (const hierarchy of step.hierarchies) {
      await makeFolders(host, step, hierarchy);
      await writeLimits(host, step, hierarchy, []);
    }
    // A running process goes back into the new cgroup: it was moved out before the empty one was removed.
    await bringBack(host, step, await findStrayedOf(context, step));
    await thaw(host, await findFrozenOf(context, step));
  },

  async update(context, step, former) {
    const { host } = context;
    for (const hierarchy of step.hierarchies) {
      await makeFolders(host, step, hierarchy);
      const before = former.hierarchies.find((one) => one.mountpoint === hierarchy.mountpoint)?.files ?? [];
      await writeLimits(host, step, hierarchy, before);
    }
    await bringBack(host, step, await findStrayedOf(context, step));
    // A frozen cgroup lets no new process start either; a `down` that is killed after all processes ended leaves one.
    await thaw(host, await findFrozenOf(context, step));
  },

  async revert({ host }, step) {
    let removed = false;
    for (const hierarchy of step.hierarchies) {
      if (await removeFolders(host, folderOf(step, hierarchy))) removed = true;
      // The folder above is shared by all containers: rmdir(2) refuses while another one is in it.
      const parent = folderOf(step, hierarchy).slice(0, -(step.path.length - step.path.lastIndexOf('/')));
      await removeWhenEmpty(host, parent);
    }
    return { outcome: removed ? 'removed' : 'gone' };
  },

  toShell: (step) =>
    step.hierarchies.flatMap((hierarchy) => [
      `mkdir -p ${quote(folderOf(step, hierarchy))}`,
      ...(hierarchy.version === 2 && hierarchy.controllers.length > 0 ? [enableLine(step, hierarchy)] : []),
      ...(isCpusetOfV1(hierarchy) ? inheritLines(step, hierarchy) : []),
      ...hierarchy.files.map(
        (file) => `echo ${quote(file.value)} > ${quote(`${folderOf(step, hierarchy)}/${file.name}`)}`,
      ),
    ]),
};

async function findStrayedOf(
  { host, view, dataDir, container }: OpContext,
  step: CgroupStep,
): Promise<readonly Strayed[]> {
  return findStrayed(host, step, containerFolder(dataDir, container), await view.mounts());
}

async function findFrozenOf({ host, view }: OpContext, step: CgroupStep): Promise<readonly FreezerState[]> {
  return findFrozen(host, await view.mounts(), step.path);
}

/** Enables controllers in the folder above all containers; in the root each controller is a step of its own. */
function enableLine(step: CgroupStep, hierarchy: CgroupHierarchy): string {
  const folder = folderOf(step, hierarchy);
  const file = `${folder.slice(0, folder.lastIndexOf('/'))}/cgroup.subtree_control`;
  const words = hierarchy.controllers.map((controller) => `+${controller}`).join(' ');
  return `echo ${quote(words)} > ${quote(file)}`;
}

/** The shell form of `inheritCpuset`, for the folder above all containers and for the container's own. */
function inheritLines(step: CgroupStep, { mountpoint }: CgroupHierarchy): readonly string[] {
  const parts = step.path.split('/').slice(1);
  return parts.flatMap((part, index) => {
    const parent = [mountpoint, ...parts.slice(0, index)].join('/');
    return CPUSET_FILES.map((name) => {
      const [from, to] = [quote(`${parent}/${name}`), quote(`${parent}/${part}/${name}`)];
      return `grep -q . ${to} || cat ${from} > ${to}`;
    });
  });
}

async function probeHierarchy(
  host: Host,
  step: CgroupStep,
  hierarchy: CgroupHierarchy,
): Promise<readonly Difference[] | 'absent'> {
  const folder = folderOf(step, hierarchy);
  if ((await host.status(folder)) === undefined) return 'absent';
  const differences: Difference[] = [];
  for (const { name, value } of hierarchy.files) {
    const found = (await host.readText(`${folder}/${name}`))?.trim();
    if (found === undefined || !sameLimit(name, value, found)) {
      differences.push({ property: `${folder}/${name}`, wanted: value, found: found ?? 'missing' });
    }
  }
  return differences;
}

/** Error codes for a cgroup that was just removed: by its path, and by an open file of it. */
const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENODEV']);

async function makeFolders(host: Host, step: CgroupStep, hierarchy: CgroupHierarchy): Promise<void> {
  const parts = step.path.split('/').filter((part) => part !== '');
  // A parallel `down` may remove the shared parent between our two mkdir(2), or a file just opened in it: begin again.
  for (let attempt = 0; ; attempt += 1) {
    try {
      let folder = hierarchy.mountpoint;
      for (const part of parts) {
        if (hierarchy.version === 2) await enableControllers(host, folder, hierarchy.controllers);
        const parent = folder;
        folder = `${folder}/${part}`;
        await host.makeDirectory(folder, { mode: 0o755 });
        if (isCpusetOfV1(hierarchy)) await inheritCpuset(host, parent, folder);
      }
      return;
    } catch (error) {
      if (attempt >= 20 || !GONE.has((error as NodeJS.ErrnoException).code)) throw error;
    }
  }
}

function isCpusetOfV1({ version, controllers }: CgroupHierarchy): boolean {
  return version === 1 && controllers.includes('cpuset');
}

const CPUSET_FILES = ['cpuset.cpus', 'cpuset.mems'];

// A v1 cpuset starts empty: no process can be put into an empty one, and those below it take no value.
async function inheritCpuset(host: Host, parent: string, folder: string): Promise<void> {
  for (const name of CPUSET_FILES) {
    if ((await host.readText(`${folder}/${name}`))?.trim() !== '') continue;
    const value = (await host.readText(`${parent}/${name}`))?.trim() ?? '';
    await host.writeInPlace(`${folder}/${name}`, value);
  }
}

// v2 gives a child only the controllers its parent lists in cgroup.subtree_control.
async function enableControllers(host: Host, folder: string, controllers: readonly string[]): Promise<void> {
  const file = `${folder}/cgroup.subtree_control`;
  const enabled = ((await host.readText(file)) ?? '').trim().split(' ');
  const missing = controllers.filter((controller) => !enabled.includes(controller));
  if (missing.length > 0)
    await host.writeInPlace(file, missing.map((controller) => `+${controller}`).join(' '));
}

async function writeLimits(
  host: Host,
  step: CgroupStep,
  hierarchy: CgroupHierarchy,
  former: readonly LimitFile[],
): Promise<void> {
  const folder = folderOf(step, hierarchy);
  const lifted = await Promise.all(
    liftLimits(former, hierarchy.files).map(async (file) =>
      file.value === '' ? inherited(host, step, hierarchy, file.name) : file,
    ),
  );
  for (const { name, value } of await inWritableOrder(host, folder, [...lifted, ...hierarchy.files])) {
    const found = (await host.readText(`${folder}/${name}`))?.trim();
    if (found !== undefined && sameLimit(name, value, found)) continue;
    try {
      await host.writeInPlace(`${folder}/${name}`, value);
    } catch (cause) {
      throw new OperationError(`cannot set ${folder}/${name} to ${value}: ${(cause as Error).message}`, {
        cause,
        path: specPathOf(name),
        hint: limitHint(cause),
      });
    }
  }
}

/** Value of the cgroup above: v2 takes an empty list for it, v1 wants it written out. */
async function inherited(
  host: Host,
  step: CgroupStep,
  hierarchy: CgroupHierarchy,
  name: string,
): Promise<LimitFile> {
  if (hierarchy.version === 2) return { name, value: '\n' };
  const folder = folderOf(step, hierarchy);
  const above = await host.readText(`${folder.slice(0, folder.lastIndexOf('/'))}/${name}`);
  return { name, value: above?.trim() ?? '' };
}

// v1 refuses memory+swap below memory: growing raises memsw first, shrinking lowers memory first.
async function inWritableOrder(
  host: Host,
  folder: string,
  files: readonly LimitFile[],
): Promise<readonly LimitFile[]> {
  const memory = files.find((file) => file.name === 'memory.limit_in_bytes');
  const swap = files.find((file) => file.name === 'memory.memsw.limit_in_bytes');
  if (memory === undefined || swap === undefined) return files;
  const current = Number(
    (await host.readText(`${folder}/memory.memsw.limit_in_bytes`))?.trim() ?? Number.MAX_VALUE,
  );
  const limit = memory.value === '-1' ? Number.MAX_VALUE : Number(memory.value);
  const rest = files.filter((file) => file !== memory && file !== swap);
  return limit > current ? [...rest, swap, memory] : [...rest, memory, swap];
}

function limitHint(cause: unknown): string | undefined {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'EBUSY':
      return 'the processes of the container use more than the new limit';
    case 'EINVAL':
    case 'ERANGE':
      return 'the kernel does not take this value; compare with the cgroup above it';
    case 'EACCES':
    case 'EROFS':
      return 'cgroups are not writable here; run as root on the host';
    default:
      return undefined;
  }
}

/** Removes a cgroup with those below it, deepest first: runtimes nest their own. */
async function removeFolders(host: Host, folder: string): Promise<boolean> {
  const names = await host.list(folder);
  if (names === undefined) return false;
  for (const name of names) {
    if ((await host.status(`${folder}/${name}`))?.type === 'directory')
      await removeFolders(host, `${folder}/${name}`);
  }
  return removeCgroupFolder(host, folder);
}

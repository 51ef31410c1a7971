// Snapshot: mounts, namespaces, cgroups, processes, System V IPC, loop devices. Reads only; a process that ends
// meanwhile is passed over.
import type { Host } from './host.ts';
import { readMounts } from './kernel-view.ts';
import { listOrNothing, listPids, readLinkOrNothing, readOrNothing } from './proc-files.ts';
import type { SnapshotItem } from './snapshot.ts';

export async function listMounts(host: Host): Promise<readonly SnapshotItem[]> {
  const mounts = await readMounts(host);
  return mounts.map(({ target, root, type, source, options, isPrivate }) => ({
    key: `${target} ${type} of ${source} at ${root} ${options} ${isPrivate ? 'private' : 'shared'}`,
  }));
}

/** Every namespace that a process is in, that is mounted somewhere, or that a descriptor holds. */
export async function listNamespaces(host: Host): Promise<readonly SnapshotItem[]> {
  const found = new Map<string, string>();
  // Links of pipes and sockets have the same form: `pipe:[1]`.
  const isNamespace = (name: string | undefined): name is string =>
    /^(?:cgroup|ipc|mnt|net|pid|time|user|uts):\[\d+\]$/.test(name ?? '');
  for (const pid of await listPids(host)) {
    const held = async (): Promise<string> => `of ${await describe(host, pid)}`;
    for (const type of await listOrNothing(host, `/proc/${pid}/ns`)) {
      // `_for_children` names the process's own namespace, or that of its children.
      if (type.endsWith('_for_children')) continue;
      const name = await readLinkOrNothing(host, `/proc/${pid}/ns/${type}`);
      if (isNamespace(name) && !found.has(name)) found.set(name, await held());
    }
    for (const fd of await listOrNothing(host, `/proc/${pid}/fd`)) {
      const name = await readLinkOrNothing(host, `/proc/${pid}/fd/${fd}`);
      if (isNamespace(name) && !found.has(name)) found.set(name, `held open by ${await describe(host, pid)}`);
    }
  }
  for (const { type, root, target } of await readMounts(host))
    if (type === 'nsfs' && !found.has(root)) found.set(root, `mounted at ${target}`);
  return [...found].map(([key, note]) => ({ key, note }));
}

/** Userland processes without runspec and its children. Keyed by command, as pids change; equal commands count. */
export async function listProcesses(host: Host): Promise<readonly SnapshotItem[]> {
  const own = /^(\d+)/.exec((await host.readText('/proc/self/stat')) ?? '')?.[1];
  const items = await Promise.all(
    (await listPids(host)).map(async (pid): Promise<readonly SnapshotItem[]> => {
      const [stat, argv] = await Promise.all([
        readOrNothing(host, `/proc/${pid}/stat`),
        readOrNothing(host, `/proc/${pid}/cmdline`),
      ]);
      const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      // Kernel threads are children of pid 2.
      if (stat === undefined || pid === own || parent === own || pid === '2' || parent === '2') return [];
      const cgroup = await cgroupOf(host, pid);
      // A cgroup can only be removed when all in it have ended: what has waits to be reaped.
      if (cgroup.endsWith(' (deleted)')) return [];
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      const words = (argv ?? '').split('\0').join(' ').trim();
      return [{ key: `${name} ${words}`.trim(), note: `pid ${pid} in ${cgroup}` }];
    }),
  );
  return items.flat();
}

export async function listCgroups(host: Host): Promise<readonly SnapshotItem[]> {
  const roots = (await readMounts(host)).filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
  const folders = await Promise.all(
    [...new Set(roots.map(({ target }) => target))].map((root) => below(host, root)),
  );
  return folders.flat().map((key) => ({ key }));
}

async function below(host: Host, folder: string): Promise<readonly string[]> {
  const names = await listOrNothing(host, folder);
  const folders = await Promise.all(
    // Files of the kernel have a dot in their names; folders of systemd units too, but these end in a known word.
    names
      .filter(
        (name) =>
          !/^(tasks|notify_on_release|release_agent)$/.test(name) &&
          (!/^\w+\./.test(name) || UNIT.test(name)),
      )
      .map(async (name) =>
        (await host.status(`${folder}/${name}`))?.type === 'directory' ? [`${folder}/${name}`] : [],
      ),
  );
  return [...folders.flat(), ...(await Promise.all(folders.flat().map((one) => below(host, one)))).flat()];
}

const UNIT = /\.(service|slice|scope|mount|socket|swap|monitor|partition)$/;

export async function listIpc(host: Host): Promise<readonly SnapshotItem[]> {
  const tables = await Promise.all(
    ['shm', 'sem', 'msg'].map((type) => readOrNothing(host, `/proc/sysvipc/${type}`)),
  );
  return tables.flatMap((table, index) =>
    (table ?? '')
      .split('\n')
      .slice(1)
      .filter((line) => line !== '')
      .map((line) => ({
        key: `${['shm', 'sem', 'msg'][index]} ${line.trim().split(/\s+/).slice(0, 3).join(' ')}`,
      })),
  );
}

export async function listLoops(host: Host): Promise<readonly SnapshotItem[]> {
  const names = (await listOrNothing(host, '/sys/block')).filter((name) => /^(loop|dm-)/.test(name));
  const items = await Promise.all(
    names.map(async (name) => {
      const file = name.startsWith('loop') ? 'loop/backing_file' : 'dm/name';
      const of = (await readOrNothing(host, `/sys/block/${name}/${file}`))?.trim();
      return of === undefined ? [] : [{ key: `${name} ${of}` }];
    }),
  );
  return items.flat();
}

async function describe(host: Host, pid: string): Promise<string> {
  const name = (await readOrNothing(host, `/proc/${pid}/comm`))?.trim() ?? 'a process';
  return `${name} (pid ${pid}) in ${await cgroupOf(host, pid)}`;
}

/** Cgroup in which a service manager or a container runner keeps a process: the longest of its paths. */
async function cgroupOf(host: Host, pid: string): Promise<string> {
  const paths = ((await readOrNothing(host, `/proc/${pid}/cgroup`)) ?? '')
    .split('\n')
    .map((line) => line.split(':').slice(2).join(':'));
  return paths.toSorted((one, other) => other.length - one.length)[0] || '/';
}

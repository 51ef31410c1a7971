// The oracle: everything a container runner could leave on a host, as sorted lines by class. It knows
// nothing of runspec's code, so that both cannot be wrong in the same way.
import fs from 'node:fs';
import { findCgroups } from './cgroups.ts';
import { listFiles } from './snapshot-files.ts';
import {
  listLinks,
  listAddresses,
  listRoutes,
  listRules,
  listFirewall,
  listSockets,
} from './snapshot-network.ts';

export type SnapshotClass =
  | 'mount'
  | 'link'
  | 'address'
  | 'route'
  | 'rule'
  | 'nft'
  | 'netns'
  | 'cgroup'
  | 'sysctl'
  | 'socket'
  | 'process'
  | 'file';

export type Snapshot = Readonly<Record<SnapshotClass, readonly string[]>>;

export interface SnapshotSource {
  /** First process of the host, as the machine counts: the way to its mounts and processes. */
  readonly pid: number;
  /** Runs a command in the host that has to succeed. */
  output(argv: readonly string[]): Promise<string>;
  /** Prefix of the names of the host's containers. */
  readonly cgroups: string;
  readonly folders: readonly string[];
  /** Folders whose content does not count. */
  readonly ignore: readonly string[];
}

export async function takeSnapshot(source: SnapshotSource): Promise<Snapshot> {
  // First what is seen from outside: as yet no command of ours runs in the host.
  const seenFromOutside = {
    process: listProcesses(source.pid),
    mount: listMounts(source.pid),
    netns: listNames(source.pid, '/run/netns'),
    cgroup: findCgroups(source.cgroups),
    file: source.folders.flatMap((folder) => listFiles(`/proc/${source.pid}/root`, folder, source.ignore)),
  };
  const [link, address, route, rule, nft, socket, sysctl] = await Promise.all([
    listLinks(source.output),
    listAddresses(source.output),
    listRoutes(source.output),
    listRules(source.output),
    listFirewall(source.output),
    listSockets(source.output),
    listSysctls(source.output),
  ]);
  const all = { ...seenFromOutside, link, address, route, rule, nft, socket, sysctl } satisfies Snapshot;
  return Object.fromEntries(
    // The order of firewall rules is part of what they mean.
    Object.entries(all).map(([name, lines]) => [name, name === 'nft' ? lines : lines.toSorted(byText)]),
  ) as Snapshot;
}

/** `+ class line` for what is new and `- class line` for what is gone; repeated lines count. */
export function diffSnapshots(before: Snapshot, after: Snapshot): readonly string[] {
  return (Object.keys(before) as SnapshotClass[]).flatMap((name) => {
    const gone = subtract(before[name], after[name]).map((line) => `- ${name} ${line}`);
    const come = subtract(after[name], before[name]).map((line) => `+ ${name} ${line}`);
    const moved = gone.length + come.length === 0 && before[name].join('\n') !== after[name].join('\n');
    return [...gone, ...come, ...(moved ? [`~ ${name} in another order`] : [])];
  });
}

const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

function subtract(from: readonly string[], lines: readonly string[]): readonly string[] {
  const rest = [...from];
  for (const line of lines) {
    const index = rest.indexOf(line);
    if (index >= 0) rest.splice(index, 1);
  }
  return rest;
}

/** Mount id, parent id and device number differ from mount to mount; the rest is what was mounted. */
function listMounts(pid: number): readonly string[] {
  const lines = fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point, options, ...propagation] = before.split(' ');
    const kinds = propagation.map((tag) => tag.split(':')[0]).join(',') || 'private';
    return `${point} root=${root} ${options} ${kinds} ${after}`;
  });
}

/** Everything in the host's PID namespace; pids are left out, equal processes counted. */
function listProcesses(holder: number): readonly string[] {
  const proc = `/proc/${holder}/root/proc`;
  const pids = fs.readdirSync(proc).filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const args = fs.readFileSync(`${proc}/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
      const stat = fs.readFileSync(`${proc}/${pid}/stat`, 'utf8');
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      const zombie = stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z') ? ' zombie' : '';
      return [`${name}${zombie} ${args}`];
    } catch (error) {
      // It ended while we looked.
      if (error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH'].includes(String(error.code)))
        return [];
      throw error;
    }
  });
}

function listNames(holder: number, folder: string): readonly string[] {
  const inside = `/proc/${holder}/root${folder}`;
  return fs.existsSync(inside) ? fs.readdirSync(inside) : [];
}

/** All of the network's sysctls, per interface too, and those of the kernel that container tools change. */
async function listSysctls(output: SnapshotSource['output']): Promise<readonly string[]> {
  const folders = [
    'net/ipv4',
    'net/ipv6',
    'net/bridge',
    'net/core',
    'kernel/hostname',
    'kernel/core_pattern',
  ];
  const others = ['vm/overcommit_memory', 'fs/inotify', 'user'];
  // Some cannot be read, by anybody or in every namespace: grep then says 2 and goes on.
  const script = 'cd /proc/sys && grep -rs "" "$@" || [ $? -le 2 ]';
  const text = await output(['sh', '-c', script, 'sh', ...folders, ...others]);
  const volatile =
    /^net\/ipv4\/(tcp_fastopen_key|neigh|route\/)|^net\/ipv6\/(neigh|route)|^net\/core\/netdev_rss_key/;
  return text
    .trim()
    .split('\n')
    .filter((line) => !volatile.test(line))
    .map((line) => line.replace(':', '=').replaceAll('\t', ' '));
}

// Snapshot of everything that a container runner can leave on a host, as plain lines by class, and the difference of
// two snapshots. Reads only. Keys have no numbers that change while the object stays what it is.
import type { Host } from './host.ts';
import { listFirewall, listNetwork, listSockets } from './snapshot-network.ts';
import { listFiles, listSysctls } from './snapshot-files.ts';
import {
  listCgroups,
  listIpc,
  listLoops,
  listMounts,
  listNamespaces,
  listProcesses,
} from './snapshot-kernel.ts';

/** Equal keys are equal objects. `note` tells more than the object itself: who holds it. */
export interface SnapshotItem {
  readonly key: string;
  readonly note?: string;
}

export type Snapshot = Readonly<Record<string, readonly SnapshotItem[]>>;

export interface SnapshotScope {
  /** Folders whose files count, to `depth` levels and not into mounts. */
  readonly folders: readonly { readonly path: string; readonly depth: number }[];
  /** Paths below these folders that do not count. */
  readonly ignore: readonly string[];
}

export interface SnapshotDifference extends SnapshotItem {
  readonly class: string;
  readonly change: 'new' | 'gone';
}

export async function takeSnapshot(host: Host, scope: SnapshotScope): Promise<Snapshot> {
  // Processes, namespaces and mounts first: the commands that are run below would show up in them.
  const process = await listProcesses(host);
  const namespace = await listNamespaces(host);
  const mount = await listMounts(host);
  const [{ link, address, route, rule, netns }, { nft, legacy }, socket] = await Promise.all([
    listNetwork(host),
    listFirewall(host),
    listSockets(host),
  ]);
  return {
    link,
    address,
    route,
    rule,
    netns,
    nft,
    'iptables-legacy': legacy,
    socket,
    mount,
    namespace,
    cgroup: await listCgroups(host),
    process,
    sysctl: await listSysctls(host),
    ipc: await listIpc(host),
    loop: await listLoops(host),
    file: await listFiles(host, scope),
  };
}

/** Differences by class, in the order of the snapshots; objects that are there twice count twice. */
export function diffSnapshots(before: Snapshot, after: Snapshot): readonly SnapshotDifference[] {
  const classes = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return classes.flatMap((name) => {
    const [then = [], now = []] = [before, after].map((one) =>
      (one[name] ?? []).filter(({ key }) => !follows(name, key)),
    );
    return [
      ...subtract(then, now).map((item) => ({ class: name, change: 'gone' as const, ...item })),
      ...subtract(now, then).map((item) => ({ class: name, change: 'new' as const, ...item })),
    ];
  });
}

/**
 * The kernel's own routes to an address of the host: of IPv6 they come when nobody else was found to have the address, a second or
 * two after it (net/ipv6/addrconf.c, addrconf_dad_completed). The address itself is in both pictures.
 */
function follows(kind: string, key: string): boolean {
  return kind === 'route' && /^type (?:local|anycast) .* protocol kernel\b/.test(key);
}

function subtract(from: readonly SnapshotItem[], items: readonly SnapshotItem[]): readonly SnapshotItem[] {
  const counts = new Map<string, number>();
  for (const { key } of items) counts.set(key, (counts.get(key) ?? 0) + 1);
  return from.filter(({ key }) => {
    const count = counts.get(key) ?? 0;
    counts.set(key, count - 1);
    return count <= 0;
  });
}

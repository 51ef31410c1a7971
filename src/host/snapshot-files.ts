// Snapshot: files and folders with type, mode and owner, and sysctls of the network. Reads only.
import type { Host } from './host.ts';
import { readMounts } from './kernel-view.ts';
import { listOrNothing, readLinkOrNothing, readOrNothing } from './proc-files.ts';
import type { SnapshotItem, SnapshotScope } from './snapshot.ts';

export async function listFiles(
  host: Host,
  { folders, ignore }: SnapshotScope,
): Promise<readonly SnapshotItem[]> {
  const mounted = new Set((await readMounts(host)).map(({ target }) => target));
  const skip = new Set(ignore);
  const items = new Map<string, SnapshotItem>();
  const visit = async (path: string, depth: number): Promise<void> => {
    if (skip.has(path) || items.has(path)) return;
    const status = await host.status(path);
    if (status === undefined) return;
    const { type, mode, uid, gid } = status;
    const target = type === 'symlink' ? ` -> ${(await readLinkOrNothing(host, path)) ?? '?'}` : '';
    items.set(path, { key: `${path}${target} ${type} ${mode.toString(8)} ${uid}:${gid}` });
    if (type !== 'directory' || depth === 0) return;
    for (const name of await listOrNothing(host, path)) {
      const child = `${path === '/' ? '' : path}/${name}`;
      // Mount points are skipped: another file system is there, and a container's root has a million files.
      if (!mounted.has(child)) await visit(child, depth - 1);
    }
  };
  for (const { path, depth } of folders) await visit(path, depth);
  return [...items.values()];
}

/** Sysctls that are triggers or counters, or that the kernel changes as it learns. */
const VOLATILE =
  /\/(neigh\/|route\/|nf_conntrack_count|tcp_fastopen_key|netdev_rss_key|stable_secret|fib_notify|.*_qlen|dirty)/;

export async function listSysctls(host: Host): Promise<readonly SnapshotItem[]> {
  const items: SnapshotItem[] = [];
  const visit = async (path: string): Promise<void> => {
    const names = await listOrNothing(host, path);
    for (const name of names) {
      const child = `${path}/${name}`;
      if (VOLATILE.test(child)) continue;
      if ((await host.status(child))?.type === 'directory') await visit(child);
      else {
        const value = (await readOrNothing(host, child))?.trim();
        if (value !== undefined) items.push({ key: `${child.slice('/proc/sys/'.length)} = ${value}` });
      }
    }
  };
  await visit('/proc/sys/net');
  for (const name of ['kernel/hostname', 'kernel/core_pattern', 'vm/overcommit_memory']) {
    const value = (await readOrNothing(host, `/proc/sys/${name}`))?.trim();
    if (value !== undefined) items.push({ key: `${name} = ${value}` });
  }
  return items;
}

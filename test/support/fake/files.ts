// The files of a fake machine: a tree of folders, files and symlinks in memory, with what the kernel does
// in procfs and cgroupfs when a folder is made or a file written. Knows nothing of failing; see gate.ts.
import path from 'node:path';
import type { FileOptions, FileStatus, FileType } from '../../../src/host/host.ts';

interface Node {
  readonly type: FileType;
  mode: number;
  uid: number;
  gid: number;
  readonly inode: number;
  text: string;
}

/** Told about writes, so that a value in procfs can change others. */
export type WriteListener = (file: string, text: string) => void;

export interface FakeFiles {
  find(file: string): FileStatus | undefined;
  read(file: string): string | undefined;
  /** What a symlink holds. */
  target(link: string): string | undefined;
  write(file: string, text: string): void;
  /** Makes or replaces a file. */
  put(file: string, text: string, options?: FileOptions): void;
  makeDirectory(folder: string, options?: FileOptions): boolean;
  makeSymlink(target: string, link: string): void;
  remove(file: string): boolean;
  removeDirectory(folder: string): boolean;
  /** Takes away a path with all below it, as the kernel does with its own folders. */
  drop(folder: string): void;
  rename(from: string, to: string): void;
  setMode(file: string, mode: number): void;
  names(folder: string): readonly string[] | undefined;
  /** Paths at and below `folder`, parents first. */
  below(folder: string): readonly string[];
  /** One line a file, for comparisons. */
  dump(): readonly string[];
  /** @returns what brings back all of it as it is now. */
  keep(): () => void;
}

/** Files the kernel makes in a new cgroup, with what they hold; by the hierarchy's folder. */
export type CgroupFiles = Readonly<Record<string, Readonly<Record<string, string>>>>;

export function createFakeFiles(cgroups: CgroupFiles, onWrite: WriteListener): FakeFiles {
  const nodes = new Map<string, Node>();
  let inodes = 1;
  const add = (
    file: string,
    type: FileType,
    text: string,
    mode: number,
    { uid = 0, gid = 0 }: FileOptions = {},
  ): void => {
    const parent = nodes.get(path.dirname(file));
    if (file !== '/' && parent === undefined) throw fault('ENOENT', 'no such file or directory', file);
    if (parent !== undefined && parent.type !== 'directory') throw fault('ENOTDIR', 'not a directory', file);
    inodes += 1;
    nodes.set(file, { type, text, mode, uid, gid, inode: inodes });
  };
  const get = (file: string): Node => {
    const node = nodes.get(file);
    if (node === undefined) throw fault('ENOENT', 'no such file or directory', file);
    return node;
  };
  const children = (folder: string): readonly string[] => {
    const prefix = folder === '/' ? '/' : `${folder}/`;
    return [...nodes.keys()].filter(
      (file) => file !== '/' && file.startsWith(prefix) && !file.slice(prefix.length).includes('/'),
    );
  };
  const hierarchyOf = (folder: string): string | undefined =>
    Object.keys(cgroups).find((root) => folder.startsWith(`${root}/`));
  add('/', 'directory', '', 0o755);

  return {
    find(file) {
      const node = nodes.get(file);
      if (node === undefined) return undefined;
      const { type, mode, uid, gid, inode, text } = node;
      return { type, mode, uid, gid, inode, size: text.length, device: 1, mtimeNs: '0', ctimeNs: '0' };
    },
    read(file) {
      const node = nodes.get(file);
      if (node === undefined) return undefined;
      if (node.type !== 'file') throw fault('EINVAL', 'not a regular file', file);
      return node.text;
    },
    target(link) {
      const node = nodes.get(link);
      return node?.type === 'symlink' ? node.text : undefined;
    },
    write(file, text) {
      const node = get(file);
      if (node.type !== 'file') throw fault('EINVAL', 'not a regular file', file);
      if (file.endsWith('/cgroup.subtree_control')) {
        const enabled = new Set(node.text.split(/\s+/).filter((word) => word !== ''));
        for (const word of text.trim().split(' ')) {
          if (word.startsWith('-')) enabled.delete(word.slice(1));
          else enabled.add(word.slice(1));
        }
        node.text = enabled.size === 0 ? '' : `${[...enabled].join(' ')}\n`;
      } else {
        node.text = file.startsWith('/proc/') || hierarchyOf(file) !== undefined ? `${text.trim()}\n` : text;
      }
      onWrite(file, text.trim());
    },
    put: (file, text, options = {}) => add(file, 'file', text, options.mode ?? 0o600, options),
    makeDirectory(folder, options = {}) {
      const found = nodes.get(folder);
      if (found?.type === 'directory') return false;
      if (found !== undefined) throw fault('EEXIST', 'file already exists', folder);
      add(folder, 'directory', '', options.mode ?? 0o700, options);
      const hierarchy = hierarchyOf(folder);
      for (const [name, text] of Object.entries(cgroups[hierarchy ?? ''] ?? {}))
        add(`${folder}/${name}`, 'file', text, 0o644);
      return true;
    },
    makeSymlink(target, link) {
      if (nodes.has(link)) throw fault('EEXIST', 'file already exists', link);
      add(link, 'symlink', target, 0o777);
    },
    remove(file) {
      if (nodes.get(file)?.type === 'directory') throw fault('EISDIR', 'is a directory', file);
      return nodes.delete(file);
    },
    removeDirectory(folder) {
      const node = nodes.get(folder);
      if (node === undefined) return false;
      if (node.type !== 'directory') throw fault('ENOTDIR', 'not a directory', folder);
      const inside = children(folder);
      const isCgroup = hierarchyOf(folder) !== undefined;
      // The kernel's own files go with their cgroup; processes and cgroups in it hold it.
      const holds = (file: string): boolean =>
        !isCgroup ||
        nodes.get(file)?.type === 'directory' ||
        (file.endsWith('/cgroup.procs') && get(file).text.trim() !== '');
      if (inside.some(holds)) throw fault(isCgroup ? 'EBUSY' : 'ENOTEMPTY', 'not empty', folder);
      for (const file of inside) nodes.delete(file);
      return nodes.delete(folder);
    },
    drop(folder) {
      for (const file of nodes.keys())
        if (file === folder || file.startsWith(`${folder}/`)) nodes.delete(file);
    },
    rename(from, to) {
      const moved = [...nodes].filter(([file]) => file === from || file.startsWith(`${from}/`));
      if (moved.length === 0) throw fault('ENOENT', 'no such file or directory', from);
      for (const [file] of moved) nodes.delete(file);
      for (const [file, node] of moved) nodes.set(to + file.slice(from.length), node);
    },
    setMode: (file, mode) => void (get(file).mode = mode),
    names(folder) {
      const node = nodes.get(folder);
      if (node === undefined) return undefined;
      if (node.type !== 'directory') throw fault('ENOTDIR', 'not a directory', folder);
      return children(folder)
        .map((file) => path.basename(file))
        .toSorted();
    },
    below: (folder) =>
      [...nodes.keys()].filter((file) => file === folder || file.startsWith(`${folder}/`)).toSorted(),
    dump: () =>
      [...nodes].map(
        ([file, { type, mode, text }]) => `${file} ${type} ${mode.toString(8)} ${JSON.stringify(text)}`,
      ),
    keep() {
      const kept = [...nodes].map(([file, node]) => [file, { ...node }] as const);
      return () => {
        nodes.clear();
        for (const [file, node] of kept) nodes.set(file, { ...node });
      };
    },
  };
}

/** An error as the system's calls throw it. */
export function fault(code: string, reason: string, file: string): Error {
  return Object.assign(new Error(`${code}: ${reason}, '${file}'`), { code, path: file });
}

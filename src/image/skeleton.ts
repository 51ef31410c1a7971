// Skeleton of a root filesystem made of host files: the usual empty folders, and the host's system users, so that `user
// www-data` in a configuration has a meaning. Files of the closure come first.
import type { TreeEntry } from '../host/archives.ts';
import type { Host } from '../host/host.ts';

const FOLDERS: readonly (readonly [string, number])[] = [
  ['dev', 0o755],
  ['etc', 0o755],
  ['proc', 0o755],
  ['root', 0o700],
  ['run', 0o755],
  ['sys', 0o755],
  ['tmp', 0o1777],
  ['var', 0o755],
  ['var/lib', 0o755],
  ['var/log', 0o755],
  ['var/tmp', 0o1777],
];

/** Users and groups for a host that has none at all. */
const ROOT_ONLY: Readonly<Record<string, string>> = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  group: 'root:x:0:\nnogroup:x:65534:\n',
};

/** /etc/passwd and /etc/group by path; passwords are in shadow, which is not taken. */
export async function readUsers(host: Host): Promise<Readonly<Record<string, string>>> {
  const users = async (name: string): Promise<string> =>
    systemOnly((await host.readText(`/etc/${name}`)) ?? '') || (ROOT_ONLY[name] ?? '');
  return { 'etc/passwd': await users('passwd'), 'etc/group': await users('group') };
}

/** Lines of ids below 1000, where distributions keep their services, and of nobody; people stay private. */
function systemOnly(text: string): string {
  const lines = text.split('\n').filter((line) => {
    const [, , id = ''] = line.split(':');
    return /^\d+$/.test(id) && (Number(id) < 1000 || id === '65534');
  });
  return lines.map((line) => `${withoutMembers(line)}\n`).join('');
}

/** Members of a group, its fourth and last field, are mostly people. */
function withoutMembers(line: string): string {
  const fields = line.split(':');
  return fields.length === 4 ? [...fields.slice(0, 3), ''].join(':') : line;
}

/** Makes the folders and files that the closure does not bring. */
export async function makeSkeleton(
  host: Host,
  layer: string,
  users: Readonly<Record<string, string>>,
  closure: readonly TreeEntry[],
): Promise<void> {
  const types = new Map(closure.map((entry) => [entry.path, entry.status.type]));
  const isFree = (path: string): boolean => {
    const parents = path
      .split('/')
      .slice(0, -1)
      .map((_, index, all) => all.slice(0, index + 1).join('/'));
    return !types.has(path) && parents.every((parent) => (types.get(parent) ?? 'directory') === 'directory');
  };
  for (const [path, mode] of FOLDERS) {
    // Folders of the closure get their mode and owner when it is copied over these.
    if (isFree(path) || types.get(path) === 'directory')
      await host.makeDirectory(`${layer}/${path}`, { mode, uid: 0, gid: 0 });
  }
  for (const [path, text] of Object.entries(users)) {
    if (isFree(path)) await host.writeAtomic(`${layer}/${path}`, text, { mode: 0o644, uid: 0, gid: 0 });
  }
}

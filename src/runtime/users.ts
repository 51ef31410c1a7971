// The user that a process runs as: names and numbers looked up in the container's own /etc/passwd and /etc/group.
import { OperationError } from '../errors.ts';
import type { FileStatus, Host } from '../host/host.ts';
import { isAtOrBelow } from '../oci/paths.ts';
import { type RootView, lookUp, readTextInside } from './root-view.ts';

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** In ascending order. */
  readonly additionalGids: readonly number[];
  readonly home: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Largest id Docker and runc accept; (uid_t)-1 means "leave it" to the kernel. */
const MAX_ID = 2 ** 31 - 1;
const SHOWN_NAMES = 12;
const DATABASES = ['/etc/passwd', '/etc/group'];

/** @param user `uid`, `name`, and each with `:gid` or `:group`; empty is root. */
export async function resolveUser(
  host: Host,
  view: RootView,
  user: string,
  additionalGids: readonly number[],
): Promise<ResolvedUser> {
  const passwd = parsePasswd(await readDatabase(host, view, '/etc/passwd'));
  const groups = parseGroup(await readDatabase(host, view, '/etc/group'));
  const [userName = '', groupName = ''] = user.split(':');
  const entry = findUser(passwd, userName === '' ? '0' : userName);
  const gid = groupName === '' ? entry.gid : findGroup(groups, groupName);
  // A group given by the spec is meant alone; without one, membership counts as at a login.
  const memberships =
    groupName === ''
      ? groups.filter(({ members }) => members.includes(entry.name)).map((group) => group.gid)
      : [];
  const additional = new Set([...memberships, ...additionalGids]);
  return { uid: entry.uid, gid, additionalGids: [...additional].toSorted((a, b) => a - b), home: entry.home };
}

/**
 * Checks the user databases. Runtimes read them for every user of a process: a fifo or a terminal in the place of one
 * would keep them waiting for ever.
 * @throws OperationError when something other than a file is there.
 */
export async function checkDatabases(host: Host, view: RootView): Promise<void> {
  for (const path of DATABASES) await checkDatabase(host, view, path);
}

/**
 * The same of a process that runs, from which security.maskedPaths may keep them: it sees /dev/null there.
 * @returns whether that is so.
 */
export async function checkSeenDatabases(host: Host, view: RootView): Promise<boolean> {
  let isMasked = false;
  for (const path of DATABASES) {
    const found = await lookUp(host, view, path);
    if (typeof found !== 'string' && isNull(found.status)) isMasked = true;
    else await checkDatabase(host, view, path);
  }
  return isMasked;
}

/** Documentation/admin-guide/devices.txt: 1:3 is /dev/null. */
function isNull({ type, rdev }: FileStatus): boolean {
  return type === 'character' && rdev?.major === 1 && rdev.minor === 3;
}

async function checkDatabase(host: Host, { root, binds }: RootView, path: string): Promise<void> {
  // A path may lead into /dev or /proc, where there is more to wait for than files; a tmpfs of the spec's is empty.
  const known = binds.filter(({ source }) => source !== undefined);
  const special = ['/dev', '/proc'].map((destination) => ({ destination }));
  const found = await lookUp(host, { root, binds: [...special, ...known] }, path);
  if (found === 'missing' || (found !== 'unknown' && found.status.type === 'file')) return;
  const what = found === 'unknown' ? 'link into /dev or /proc' : found.status.type;
  const mount = known.findLast(({ destination }) => isAtOrBelow(path, destination));
  if (mount !== undefined)
    throw new OperationError(`the mount on ${mount.destination} makes ${path} a ${what}, not a file`, {
      destination: mount.destination,
      hint: 'the runtime reads that file: mount one there, or nothing',
    });
  throw new OperationError(`${path} in the root file system is a ${what}, not a file`, {
    hint: `put a file in its place: layers: [{ files: { ${path}: "…" } }]`,
  });
}

async function readDatabase(host: Host, view: RootView, path: string): Promise<string> {
  await checkDatabase(host, view, path);
  return (await readTextInside(host, view, path)) ?? '';
}

function findUser(passwd: readonly PasswdEntry[], user: string): PasswdEntry {
  const named = passwd.find(({ name }) => name === user);
  if (named !== undefined) return named;
  // An image without a user database still has its root.
  const uid = user === 'root' ? 0 : parseId(user);
  if (uid === undefined) {
    throw new OperationError(`no user ${user} in the root file system`, {
      hint: hintOfNames('users', '/etc/passwd', passwd),
    });
  }
  return passwd.find((entry) => entry.uid === uid) ?? { name: '', uid, gid: 0, home: '/' };
}

function findGroup(groups: readonly GroupEntry[], group: string): number {
  const named = groups.find(({ name }) => name === group);
  if (named !== undefined) return named.gid;
  const gid = parseId(group);
  if (gid === undefined) {
    throw new OperationError(`no group ${group} in the root file system`, {
      hint: hintOfNames('groups', '/etc/group', groups),
    });
  }
  return gid;
}

function hintOfNames(what: string, file: string, entries: readonly { readonly name: string }[]): string {
  if (entries.length === 0) return `its ${file} has none; use numbers, as in "1000:1000"`;
  const names = entries.slice(0, SHOWN_NAMES).map(({ name }) => name);
  return `its ${file} knows the ${what} ${names.join(', ')}${entries.length > SHOWN_NAMES ? '…' : ''}; numbers work without an entry`;
}

function parsePasswd(text: string): readonly PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uidText = '', gidText = '', , home = ''] = line.split(':');
    const uid = parseId(uidText);
    const gid = parseId(gidText);
    return name === '' || uid === undefined || gid === undefined
      ? []
      : [{ name, uid, gid, home: home === '' ? '/' : home }];
  });
}

function parseGroup(text: string): readonly GroupEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , gidText = '', members = ''] = line.split(':');
    const gid = parseId(gidText);
    return name === '' || gid === undefined
      ? []
      : [{ name, gid, members: members.split(',').filter((member) => member !== '') }];
  });
}

function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

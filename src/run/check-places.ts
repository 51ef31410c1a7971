// Owner and mode of the folders that runspec works in as root. Records in them say which programs it runs and what it
// removes, so nobody else may write them. Folders above may belong to a user or a group, such as a home: root has
// chosen them. In a sticky folder, such as /tmp or a new tmpfs, others can neither remove nor rename what is root's.
// Reads only.
import { UsageError } from '../errors.ts';
import type { FileStatus, Host } from '../host/host.ts';

const PLACES = {
  data: 'choose another one with --data-dir or RUNSPEC_DATA_DIR',
  state: 'choose another one with --state-dir or RUNSPEC_STATE_DIR',
} as const;

/** Folders inside a data folder that have to be root's alone. */
const CONTENT = ['containers', 'images', 'volumes', 'writable'];

export interface PlaceFault {
  readonly message: string;
  readonly hint: string;
}

/** @throws UsageError when others than root can write to the folder, or anybody can put another one in its place. */
export async function requireRootsAlone(host: Host, kind: keyof typeof PLACES, path: string): Promise<void> {
  const fault = await findPlaceFault(host, kind, path);
  if (fault !== undefined) throw new UsageError(fault.message, fault.hint);
}

/** @param path real, without symlinks. Folders that do not exist yet are no fault: runspec will make them. */
export async function findPlaceFault(
  host: Host,
  kind: keyof typeof PLACES,
  path: string,
): Promise<PlaceFault | undefined> {
  // In a sticky data folder others may have made these before runspec did.
  const within = kind === 'data' ? CONTENT.map((name) => `${path}/${name}`) : [];
  const found = await Promise.all(
    [...foldersTo(path), ...within].map(async (folder) => ({ folder, status: await host.status(folder) })),
  );
  for (const { folder, status } of found) {
    const judge = folder.length < path.length ? faultAbove : faultOf;
    const fault = status && judge(status);
    if (fault === undefined) continue;
    return {
      message: `cannot use the ${kind} folder ${path}: ${folder === path ? 'it' : folder} ${fault.what}`,
      hint: `make it root's alone: ${fault.remedy} ${folder}; or ${PLACES[kind]}`,
    };
  }
  return undefined;
}

interface Fault {
  readonly what: string;
  readonly remedy: string;
}

function faultOf({ mode, uid, gid }: FileStatus): Fault | undefined {
  if (uid !== 0) return { what: `belongs to user ${uid}`, remedy: 'chown root' };
  const isOpen = (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
  if (!isOpen || (mode & 0o1000) !== 0) return undefined;
  const what = `can be written by others than root (mode ${mode.toString(8)} of group ${gid})`;
  return { what, remedy: 'chmod go-w' };
}

function faultAbove({ type, mode }: FileStatus): Fault | undefined {
  // Every symlink has the mode 777, and none can be written to.
  if (type !== 'directory' || (mode & 0o1002) !== 0o002) return undefined;
  return { what: `can be written by anybody (mode ${mode.toString(8)})`, remedy: 'chmod o-w' };
}

/** Every folder on the way, from `/` to the folder itself. */
function foldersTo(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return ['/', ...parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)];
}

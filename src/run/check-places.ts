// Whose the folders are that runspec acts on as root. Records in them say which programs it runs and what it removes:
// nobody else may write them. Folders above may be of a user or a group, as a home is: root has chosen them. In a sticky
// folder, as /tmp and a new tmpfs are, others can neither remove nor rename what is root's. Reads only.
import { UsageError } from '../errors.ts';
import type { FileStatus, Host } from '../host/host.ts';

const PLACES = {
  data: 'choose another one with --data-dir or RUNSPEC_DATA_DIR',
  state: 'choose another one with --state-dir or RUNSPEC_STATE_DIR',
} as const;

/** What is root's alone in a data folder: DESIGN section 5. */
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

/** @param path real, without symlinks; what is not there yet is made by us. */
export async function findPlaceFault(
  host: Host,
  kind: keyof typeof PLACES,
  path: string,
): Promise<PlaceFault | undefined> {
  // In a sticky one others may have made them before us.
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

/** From the root to the folder itself. */
function foldersTo(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return ['/', ...parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)];
}

// The file tree a container's process will see: its root with the binds over it, symlinks followed
// inside only. Reads only; an image's symlink never leads a lookup to the host's own files.
import { OperationError } from '../errors.ts';
import type { FileStatus, Host } from '../host/host.ts';
import type { MergedLayers } from '../image/resolve-path.ts';
import { readLinkOrNothing } from '../host/proc-files.ts';
import { isAtOrBelow, normalizePath } from '../oci/paths.ts';

export interface RootView {
  /** Host path of the root; or the layers of one that is not mounted yet. */
  readonly root: string | Pick<MergedLayers, 'entryAt'>;
  /** Outer before inner; without a source nothing is known of what lies there before the start. */
  readonly binds: readonly { readonly destination: string; readonly source?: string }[];
}

export interface Found {
  /** Host path, no symlink in it below the root or a bind's source. */
  readonly hostPath: string;
  /** Path inside the container, without symlinks. */
  readonly path: string;
  /** Status of the file, which is never a symlink. */
  readonly status: FileStatus;
}

/** `unknown`: it lies where the runtime mounts something of its own, such as /proc. */
export type Lookup = Found | 'missing' | 'unknown';

/** The kernel's MAXSYMLINKS. */
const MAX_SYMLINKS = 40;
/** A group file of a large directory service is a few MiB; more than this is no user database. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

export async function lookUp(host: Host, view: RootView, path: string): Promise<Lookup> {
  const walked = await walk(host, view, path, 'stop');
  if (typeof walked === 'string') return walked;
  if (walked.ends === true) return 'missing';
  // The last component may have been `..`, or a symlink to a folder that was not looked at.
  const entry = walked.entry ?? (await entryAt(host, view, walked.at));
  return typeof entry === 'string' ? entry : { ...entry, path: walked.at };
}

/** The path to which `path` leads, which need not exist: what is missing is taken as it is written. */
export async function leadTo(host: Host, view: RootView, path: string): Promise<string> {
  const walked = await walk(host, view, path, 'go on');
  return typeof walked === 'string' || walked.ends === true ? normalizePath(path) : walked.at;
}

/** What is no folder and lies where a path leads, or on its way: neither is there a folder, nor can one be made. */
export async function findObstacle(host: Host, view: RootView, path: string): Promise<Found | undefined> {
  const walked = await walk(host, view, path, 'stop');
  if (typeof walked === 'string' || walked.entry === undefined) return undefined;
  const { at, entry } = walked;
  return entry.status.type === 'directory' ? undefined : { ...entry, path: at };
}

interface Walked {
  readonly at: string;
  readonly entry: Entry | undefined;
  /** It is no folder, and the path goes on. */
  readonly ends?: true;
}

async function walk(
  host: Host,
  view: RootView,
  path: string,
  atNothing: 'stop' | 'go on',
): Promise<Walked | 'missing' | 'unknown'> {
  const pending = path.split('/').toReversed();
  let at = '/';
  let symlinks = 0;
  let entry: Entry | undefined;
  for (;;) {
    const part = pending.pop();
    if (part === undefined) break;
    if (part === '' || part === '.') continue;
    at = normalizePath(part, at);
    const found = await entryAt(host, view, at);
    entry = typeof found === 'string' ? undefined : found;
    if (typeof found === 'string') {
      if (atNothing === 'go on') continue;
      return found;
    }
    const { hostPath, status } = found;
    if (status.type === 'symlink') {
      symlinks += 1;
      if (symlinks > MAX_SYMLINKS) return 'missing';
      // The container's own processes may replace the symlink meanwhile.
      const target = await readLinkOrNothing(host, hostPath);
      if (target === undefined) return 'missing';
      at = target.startsWith('/') ? '/' : normalizePath('..', at);
      pending.push(...target.split('/').toReversed());
      entry = undefined;
    } else if (status.type !== 'directory' && pending.some((rest) => rest !== '' && rest !== '.')) {
      return { at, entry, ends: true };
    }
  }
  return { at, entry };
}

interface Entry {
  readonly hostPath: string;
  readonly status: FileStatus;
}

/**
 * What is at a place, unfollowed. The container writes its symlinks itself: a name of more than 255 bytes, or a path of more
 * than 4096, is one at which nobody can have anything.
 */
async function entryAt(host: Host, view: RootView, path: string): Promise<Entry | 'missing' | 'unknown'> {
  const { root, binds } = view;
  const bind = binds.findLast(({ destination }) => isAtOrBelow(path, destination));
  if (bind !== undefined && bind.source === undefined) return 'unknown';
  const below = path.slice(bind === undefined ? 0 : bind.destination.length);
  const base = bind?.source ?? root;
  try {
    if (typeof base !== 'string') return (await base.entryAt(path.slice(1))) ?? 'missing';
    const hostPath = below === '/' ? base : `${base}${below}`;
    const status = await host.status(hostPath);
    return status === undefined ? 'missing' : { hostPath, status };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return 'missing';
    throw error;
  }
}

/**
 * The view of a running container. Its /proc is unknown: seen from the host, links in it lead to nothing or to the
 * host.
 */
export function viewOfProcess(pid: number): RootView {
  return { root: `/proc/${pid}/root`, binds: [{ destination: '/proc' }] };
}

/** Text of a regular file in the container; undefined when there is none. */
export async function readTextInside(host: Host, view: RootView, path: string): Promise<string | undefined> {
  const found = await lookUp(host, view, path);
  // A fifo or device of that name would be read for ever.
  if (found === 'missing' || found === 'unknown' || found.status.type !== 'file') return undefined;
  if (found.status.size > MAX_TEXT_BYTES) {
    throw new OperationError(`${path} in the root file system is ${found.status.size} bytes long`, {
      hint: 'is it really the user database of this image?',
    });
  }
  return host.readText(found.hostPath);
}

/** The view before the start, from the mounts of an OCI configuration. */
export async function viewOfMounts(
  host: Host,
  root: RootView['root'],
  mounts: readonly { readonly destination: string; readonly type: string; readonly source: string }[],
): Promise<RootView> {
  const binds: { destination: string; source?: string }[] = [];
  for (const mount of mounts) {
    const view = { root, binds };
    // The runtime follows symlinks on the way to a destination, inside the root.
    const destination = await leadTo(host, view, mount.destination);
    // A bind's source is the host's own affair: its symlinks are followed on the host.
    const source = mount.type === 'bind' ? await host.realPath(mount.source) : undefined;
    binds.push(source === undefined ? { destination } : { destination, source });
  }
  return { root, binds };
}

/**
 * The first destination that lies in a bind of the user's own folder and does not exist there: a runtime
 * would make it, on the host. `owned` are runspec's folders, in which it may.
 */
export async function findForeignMountpoint(
  host: Host,
  { root, binds }: RootView,
  owned: string,
): Promise<{ readonly destination: string; readonly source: string } | undefined> {
  for (const [index, { destination }] of binds.entries()) {
    const outer = { root, binds: binds.slice(0, index) };
    const source = outer.binds.findLast((bind) => isAtOrBelow(destination, bind.destination))?.source;
    if (source === undefined || isAtOrBelow(source, owned)) continue;
    if ((await lookUp(host, outer, destination)) === 'missing') return { destination, source };
  }
  return undefined;
}

// Finds where a path leads inside stacked layers, the way the kernel will once they are one overlay. Host
// symlinks are never followed: every step looks only below folders that are known to be real ones.
import { OperationError } from '../errors.ts';
import type { FileStatus, Host } from '../host/host.ts';

/** MAXSYMLINKS of Linux. */
const MAX_LINKS = 40;

export interface PathStep {
  readonly name: string;
  /** What the merged view has there; absent: nothing. Symlinks only as the last step, unfollowed. */
  readonly status?: FileStatus;
}

export interface ResolvedPath {
  /** Absolute in the container, no symlink in any component that exists. */
  readonly path: string;
  readonly steps: readonly PathStep[];
}

export interface ResolveOptions {
  /** False: a symlink in the last component is left as it is. */
  readonly followLast?: boolean;
}

/** A folder of the merged view, or a place where none is. */
interface Place extends PathStep {
  /** Layer folders that contribute to it, topmost first; empty when it is no folder. */
  readonly folders: readonly string[];
}

/**
 * `lower`: layer folders, lowest first. What does not exist, dangling targets included, resolves literally.
 * @throws OperationError for a loop of symlinks.
 */
export async function resolveInLayers(
  host: Host,
  lower: readonly string[],
  path: string,
  { followLast = true }: ResolveOptions = {},
): Promise<ResolvedPath> {
  const root: Place = { name: '', folders: lower.toReversed() };
  const walked: Place[] = [];
  const todo = path.split('/');
  for (let links = 0; ;) {
    const name = todo.shift();
    if (name === undefined) break;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      walked.pop();
      continue;
    }
    const place = await lookUp(host, walked.at(-1) ?? root, name);
    const last = todo.every((part) => part === '' || part === '.');
    if (place.link === undefined || (last && !followLast)) {
      walked.push(place);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) {
      throw new OperationError(`${path} runs in a loop of symlinks in the image`, {
        hint: 'choose another path, or mend the symlinks in a layer above',
      });
    }
    if (place.link.startsWith('/')) walked.length = 0;
    todo.unshift(...place.link.split('/'));
  }
  const steps = walked.map(({ name, status }) => (status === undefined ? { name } : { name, status }));
  return { path: `/${steps.map((step) => step.name).join('/')}`, steps };
}

async function lookUp(host: Host, parent: Place, name: string): Promise<Place & { readonly link?: string }> {
  const folders: string[] = [];
  let top: FileStatus | undefined;
  for (const folder of parent.folders) {
    const path = `${folder}/${name}`;
    const status = await host.status(path);
    if (status === undefined) continue;
    // A folder merges with the folders right below it; anything else hides all below, or ends the merge.
    if (status.type !== 'directory') {
      if (top !== undefined || isWhiteout(status)) break;
      return {
        name,
        status,
        folders: [],
        ...(status.type === 'symlink' ? { link: await host.readLink(path) } : {}),
      };
    }
    top ??= status;
    folders.push(path);
  }
  return top === undefined ? { name, folders: [] } : { name, status: top, folders };
}

/**
 * A character device 0:0 says that the lower layers' entry is gone. Opaque folders need no look: layers of the
 * store never carry trusted.* attributes.
 */
function isWhiteout(status: FileStatus): boolean {
  return status.type === 'character' && status.rdev?.major === 0 && status.rdev.minor === 0;
}

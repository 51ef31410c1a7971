// What a layer cannot say for itself, because it is kept by its content alone and does not know what lies below:
// the attributes of folders it uses but does not list, and that its whiteouts are to be left out of listings. Both
// are said in the topmost layer of a container, which knows the whole stack.
import type { Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import { createTreeInspector } from './inspect-tar.ts';
import { createPartsFinder } from './resolve-path.ts';
import { readRecord } from './store.ts';

interface Notes {
  readonly implied: ReadonlySet<string>;
  readonly whiteouts: ReadonlySet<string>;
}

export interface MendContext {
  readonly host: Host;
  readonly archives: Archives;
  readonly signal: AbortSignal;
  progress(text: string): void;
}

/** Makes folders in `target`, an empty layer above `lower`. Most stacks need none. */
export async function mendFolders(
  { host, archives, signal, progress }: MendContext,
  lower: readonly string[],
  target: string,
): Promise<void> {
  const notes = new Map<string, Notes>();
  for (const layer of lower) {
    const folders = (await readRecord(host, layer))?.folders;
    if (folders === undefined) continue;
    notes.set(layer, { implied: new Set(folders.implied), whiteouts: new Set(folders.whiteouts) });
  }
  if (notes.size === 0) return;
  const findParts = await createPartsFinder(host, lower);
  /** The layer whose attributes a folder has: the topmost that lists it, else the topmost that uses it. */
  const sourceOf = (path: string, parts: readonly string[]): string | undefined =>
    parts.find((layer) => notes.get(layer)?.implied.has(path) !== true) ?? parts[0];

  const sources = new Map<string, string>();
  const noted = [...notes.values()].flatMap(({ implied, whiteouts }) => [...implied, ...whiteouts]);
  for (const path of new Set(noted)) {
    const parts = await findParts(path);
    const [top] = parts;
    if (top === undefined) continue;
    // The kernel takes a folder of a single layer as it is, whiteouts and all; two parts it merges.
    const bare = parts.length === 1 && notes.get(top)?.whiteouts.has(path) === true;
    if (sourceOf(path, parts) === top && !bare) continue;
    for (const folder of withParents(path)) {
      const source = sourceOf(folder, await findParts(folder));
      if (source !== undefined) sources.set(folder, source);
    }
  }
  for (const root of new Set(sources.values())) {
    const names = [...sources].flatMap(([path, layer]) => (layer === root ? [path] : [])).toSorted();
    const inspector = createTreeInspector();
    await archives.copy({ root, names, recursive: false }, target, { inspector, signal, progress });
  }
}

function withParents(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

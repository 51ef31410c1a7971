// Mends folders in the topmost layer of a container, which alone knows the whole stack. A layer below is kept by its
// content and does not know what lies under it: it has no attributes for folders that it uses but does not list, and
// cannot keep its whiteouts out of listings.
import type { Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import { createTreeInspector } from './inspect-tar.ts';
import { mergeLayers } from './resolve-path.ts';
import { readLayerNote } from './store.ts';

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
  const noted = new Set<string>();
  const whiteouts = new Map<string, ReadonlySet<string>>();
  for (const layer of lower) {
    const folders = (await readLayerNote(host, layer))?.folders;
    for (const path of [...(folders?.implied ?? []), ...(folders?.whiteouts ?? [])]) noted.add(path);
    whiteouts.set(layer, new Set(folders?.whiteouts));
  }
  if (noted.size === 0) return;
  const merged = await mergeLayers(host, lower);
  const sources = new Map<string, string>();
  for (const path of noted) {
    const origin = await merged.originOf(path);
    const top = origin?.layers[0];
    if (origin === undefined || top === undefined) continue;
    // The kernel shows a folder of a single layer as it is, with its whiteouts; only two parts are merged without them.
    const bare = origin.layers.length === 1 && whiteouts.get(top)?.has(path) === true;
    if (origin.source === top && !bare) continue;
    for (const folder of withParents(path)) {
      const source = (await merged.originOf(folder))?.source;
      if (source !== undefined) sources.set(folder, source);
    }
  }
  for (const root of new Set(sources.values())) {
    const names = [...sources].flatMap(([path, layer]) => (layer === root ? [path] : [])).toSorted();
    const inspector = createTreeInspector(archives.limits);
    await archives.copy({ root, names, recursive: false }, target, { inspector, signal, progress });
  }
}

function withParents(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

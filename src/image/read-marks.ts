// Marks and contents of layers, which lstat(2) does not show, read by GNU tar: which folders are opaque, and whether
// entries that look alike are the same.
import { createHash } from '../crypto.ts';
import type { LayerPath, Packing } from '../host/packing.ts';
import type { AlikePair } from './compare-upper.ts';
import { mayCarryAttribute } from './pax.ts';
import { PackedReader, type PackedEntry } from './read-packed.ts';

/** Keys (`markKey`) of the folders that are opaque. */
export async function readOpaque(
  packing: Packing,
  roots: readonly string[],
  folders: Iterable<LayerPath>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const opaque = new Set<string>();
  await readEach(packing, roots, folders, signal, ({ root, path }, { xattrs }) => {
    if (xattrs.get('trusted.overlay.opaque') === 'y') opaque.add(markKey(root, path));
    return { data: () => undefined };
  });
  return opaque;
}

export function markKey(root: string, path: string): string {
  return `${root}\0${path}`;
}

/** Pairs that look alike but are not the same. */
export async function findUnlike(
  packing: Packing,
  pairs: readonly AlikePair[],
  signal: AbortSignal,
): Promise<readonly AlikePair[]> {
  const prints = new Map<string, ReturnType<typeof createHash>>();
  const entries = pairs.flatMap(({ upper, lower }) => [upper, lower]);
  const roots = [...new Set(entries.map(({ root }) => root))];
  await readEach(packing, roots, entries, signal, ({ root, path }, { xattrs }) => {
    const carried = [...xattrs].filter(([name]) => mayCarryAttribute(name));
    const print = createHash('sha256').update(JSON.stringify(carried.sort(byName)));
    prints.set(markKey(root, path), print);
    return { data: (chunk) => void print.update(chunk) };
  });
  const digests = new Map([...prints].map(([key, print]) => [key, print.digest('hex')]));
  return pairs.filter(
    ({ upper, lower }) =>
      digests.get(markKey(upper.root, upper.path)) !== digests.get(markKey(lower.root, lower.path)),
  );
}

async function readEach(
  packing: Packing,
  roots: readonly string[],
  entries: Iterable<LayerPath>,
  signal: AbortSignal,
  see: (at: LayerPath, entry: PackedEntry) => { data(chunk: Buffer): void },
): Promise<void> {
  const waiting: LayerPath[] = [];
  let current: { data(chunk: Buffer): void } | undefined;
  const reader = new PackedReader({
    entry(entry) {
      const at = waiting.shift();
      current = at === undefined ? undefined : see(at, entry);
    },
    data: (chunk) => current?.data(chunk),
  });
  const announced = (function* (): Generator<LayerPath> {
    for (const entry of entries) {
      waiting.push(entry);
      yield entry;
    }
  })();
  await packing.read({ roots, entries: announced }, (chunk) => reader.write(chunk), signal);
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

// Puts a layer into the store: made out of sight, and there for everybody once it is whole and on the disk.
import { hasLayer, layerPath, notePath, withWork, writeVia, type LayerNote } from './store.ts';
import { withStoreNames } from './store-lock.ts';
import type { LayerContext } from './unpack-tarball.ts';

/**
 * Makes a layer: `build` fills an empty folder and returns its note; only what it finished becomes visible.
 * Two processes at work on one layer end with one. The folder of a build that failed is removed.
 */
export async function makeLayer(
  context: Omit<LayerContext, 'layerProgress'>,
  key: string,
  build: (folder: string, work: string) => Promise<LayerNote>,
): Promise<void> {
  const { host, archives, dataDir } = context;
  await withWork(host, dataDir, async (work) => {
    const folder = `${work}/layer`;
    await host.makeDirectory(folder, { mode: 0o755, uid: 0, gid: 0 });
    const note = await build(folder, work);
    // Synced before it gets its name: after a power cut a layer is whole or not there.
    await archives.sync(folder);
    await withStoreNames(context, async () => {
      // Another process was first; equal keys mean equal content.
      if (await hasLayer(host, dataDir, key)) return;
      // The note comes first, because the layer would be wrong without the folders that it lists.
      await writeVia(host, work, notePath(dataDir, key), `${JSON.stringify(note)}\n`);
      await host.rename(folder, layerPath(dataDir, key));
    });
  });
}

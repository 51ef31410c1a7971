// Fetches remote sources of specs into the store. Called before the host is locked: a long download lets others work
// meanwhile.
import { OperationError } from '../errors.ts';
import type { LayerSource, RootfsSource, Spec } from '../load/spec.ts';
import { ensureLayer } from './ensure-layer.ts';
import { isComplete, readTag } from './image-records.ts';
import { readReference } from './references.ts';
import { isFetched, isUrl, type FetchOptions } from './remote-sources.ts';
import { layerPath } from './store.ts';
import { fetchReference, type LayerContext } from './unpack-tarball.ts';

/** @throws OperationError with the path of the source in the spec. */
export async function fetchSources(context: LayerContext, spec: Spec, options: FetchOptions): Promise<void> {
  for (const [index, source] of [spec.rootfs, ...spec.layers].entries()) {
    const path = index === 0 ? ['rootfs', source.kind] : ['layers', index - 1, source.kind];
    await fetchSource(context, source, options).catch((error: unknown) => {
      throw error instanceof OperationError ? error.with({ path, container: spec.name }) : error;
    });
  }
}

async function fetchSource(
  context: LayerContext,
  source: RootfsSource | LayerSource,
  options: FetchOptions,
): Promise<void> {
  if (!isFetched(source, options)) return;
  const { host, dataDir } = context;
  if (source.kind === 'image') {
    const image = await readTag(host, dataDir, source.image);
    if (image !== undefined && (await isComplete(host, dataDir, image))) return;
    // Loaded when needed, to keep every other start short.
    const { pullImage } = await import('./pull-image.ts');
    await pullImage(context, source.image);
    return;
  }
  if (source.kind !== 'tarball') return;
  const { tarball, sha256 } = source;
  if (sha256 !== undefined) {
    const path = layerPath(dataDir, sha256);
    await ensureLayer(context, { kind: 'tarball', key: sha256, path, tarball, sha256 });
  } else if (isUrl(tarball) && (await readReference(host, dataDir, tarball)) === undefined) {
    await fetchReference(context, tarball);
  }
}

// Layers from archives: fetched when they are URLs, their hash checked before anything is unpacked and again on what
// was unpacked, so that a file exchanged in between does not get in.
import { OperationError } from '../errors.ts';
import type { Archives, Content } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import { rememberHash, sourceOf } from './hash-cache.ts';
import { createLayerInspector, nameArchive, type LayerSummary } from './inspect-tar.ts';
import { followLayer, type LayerProgress } from './layer-progress.ts';
import { makeLayer } from './make-layer.ts';
import { writeReference } from './references.ts';
import { isUrl } from './remote-sources.ts';
import { hasLayer, layerPath, openStore, findLayerNote, withWork, type LayerNote } from './store.ts';
import { showSource } from '../load/show-source.ts';

export interface LayerContext {
  readonly host: Host;
  readonly archives: Archives;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  progress(text: string): void;
  /** Progress of layers as values; without it, `progress` gets the same as text. */
  layerProgress?(event: LayerProgress): void;
}

/** Makes the layer of a tarball whose hash is known. */
export async function makeTarballLayer(
  context: LayerContext,
  tarball: string,
  sha256: string,
): Promise<void> {
  if (isUrl(tarball)) {
    await fetched(context, tarball, true, async (archive, { sha256: found }) => {
      if (found !== sha256) throw wrongHash(tarball, sha256, found);
      await unpackLayer(context, tarball, archive, sha256);
    });
    return;
  }
  const found = await hashLocal(context, tarball);
  if (found !== sha256) throw wrongHash(tarball, sha256, found);
  await unpackLayer(context, tarball, tarball, sha256);
}

/** Puts a local archive into the store under its own hash. */
export async function addArchive(context: LayerContext, path: string): Promise<string> {
  const key = await hashLocal(context, path);
  if (!(await hasLayer(context.host, context.dataDir, key))) await unpackLayer(context, path, path, key);
  return key;
}

/** Fetches an unpinned URL, puts it into the store and remembers its hash. */
export async function fetchReference(context: LayerContext, url: string): Promise<string> {
  const { host, dataDir } = context;
  return fetched(context, url, false, async (archive, { sha256: key }) => {
    if (!(await hasLayer(host, dataDir, key))) await unpackLayer(context, url, archive, key);
    await writeReference(host, dataDir, url, key);
    return key;
  });
}

/**
 * Hash and size of an archive as it is now, fetched when it is a URL; nothing of it is kept. For a pinned URL whose
 * layer is in the store both are known, so that this needs no network, as apply does not.
 */
export async function measureArchive(
  context: LayerContext,
  tarball: string,
  pin: string | undefined,
): Promise<Content> {
  if (isUrl(tarball)) {
    const layer =
      pin === undefined ? undefined : await findLayerNote(context.host, layerPath(context.dataDir, pin));
    if (pin !== undefined && layer?.stored !== undefined) return { sha256: pin, size: layer.stored };
    return fetched(context, tarball, pin !== undefined, (_archive, content) => Promise.resolve(content));
  }
  return context.archives.hash(await realArchive(context.host, tarball), context.signal);
}

function fetched<T>(
  { host, archives, dataDir, signal, progress }: LayerContext,
  url: string,
  pinned: boolean,
  use: (archive: string, content: Content) => Promise<T>,
): Promise<T> {
  return withWork(host, dataDir, async (work) => {
    const archive = `${work}/archive`;
    // Half of the free space: the other half is for the unpacked content.
    const limit = Math.min(archives.limits.bytes, Math.floor((await host.freeBytes(work)) / 2));
    return use(archive, await archives.download(url, archive, { limit, pinned, signal, progress }));
  });
}

async function hashLocal({ host, archives, dataDir, signal }: LayerContext, path: string): Promise<string> {
  const real = await realArchive(host, path);
  const status = await host.status(real);
  if (status === undefined) throw new OperationError(`archive ${path} is gone`, { hint: 'check the path' });
  const now = host.now();
  const { sha256 } = await archives.hash(real, signal);
  // openStore refuses a store that others can enter, before anything is remembered there.
  await openStore(host, dataDir);
  await rememberHash(host, dataDir, sourceOf(real, status), now, sha256);
  return sha256;
}

async function realArchive(host: Host, path: string): Promise<string> {
  const real = await host.realPath(path);
  const type = real === undefined ? undefined : (await host.status(real))?.type;
  if (real !== undefined && type === 'file') return real;
  const found = type === undefined ? 'does not exist' : `is a ${type}, not a file`;
  throw new OperationError(`archive ${path} ${found}`, { hint: 'check the path' });
}

async function unpackLayer(
  context: LayerContext,
  source: string,
  archive: string,
  key: string,
): Promise<void> {
  const { host, archives, dataDir, signal } = context;
  const inspector = createLayerInspector(archives.limits, { devices: false });
  const follow = followLayer(context, key, (await host.status(archive))?.size ?? 0);
  try {
    await makeLayer(context, key, async (folder) => {
      const { sha256, size } = await archives.unpack(archive, folder, {
        inspector,
        signal,
        passed: follow.passed,
      });
      if (sha256 !== key) throw new OperationError('it changed while it was being read');
      return { ...describeLayer(host, showSource(source), inspector.summary()), stored: size };
    });
  } catch (error) {
    throw nameArchive(error, showSource(source));
  }
  follow.unpacked(`unpacked ${inspector.summary().entries} files into ${layerPath(dataDir, key)}`);
}

/** Note of a layer from what its inspector saw. */
export function describeLayer(host: Host, source: string, seen: LayerSummary): LayerNote {
  const { entries, bytes, folders } = seen;
  const { implied, whiteouts, opaque, opaqueRoot } = folders;
  const plain = implied.length + whiteouts.length + opaque.length === 0 && !opaqueRoot;
  return { source, entries, size: bytes, created: host.now(), ...(plain ? {} : { folders }) };
}

function wrongHash(source: string, wanted: string, found: string): OperationError {
  return new OperationError(`${showSource(source)} has sha256 ${found}, not ${wanted}`, {
    hint: 'the archive is damaged or another one; if it was replaced on purpose, put its sha256 into the spec, or that of runspec.lock right with: runspec lock SPEC',
  });
}

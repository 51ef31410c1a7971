// runspec image ls | add | rm | gc | pull: what lies in the store of images and layers.
import path from 'node:path';
import { UsageError } from '../errors.ts';
import {
  collectGarbage,
  isUsed,
  listImages,
  listLayers,
  withRemoval,
  type CollectContext,
  type StoredImage,
  type StoredLayer,
} from '../image/collect.ts';
import { ensureLayer } from '../image/ensure-layer.ts';
import { fetchSources } from '../image/fetch-sources.ts';
import { keysOf, removeTag } from '../image/image-records.ts';
import { isRemote } from '../image/remote-sources.ts';
import { pullImage } from '../image/pull-image.ts';
import { resolveLayers } from '../image/resolve-layers.ts';
import { formatImageReference, parseImageReference } from '../load/image-reference.ts';
import { showSource } from '../load/show-source.ts';
import { addArchive, type LayerContext } from '../image/unpack-tarball.ts';
import { withLock } from '../run/lock.ts';
import { placeByPath } from './place-failure.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { formatSize } from './format-size.ts';
import { withLayerDisplay } from './layer-display.ts';
import { renderTable } from './render-table.ts';
import { checkCompiled, type LoadedSpecs } from './load-specs.ts';

export async function showImages(context: CommandContext): Promise<number> {
  await requireRoot(context);
  const { host, dataDir } = context;
  const [images, layers] = await Promise.all([listImages(host, dataDir), listLayers(host, dataDir)]);
  const sizes = new Map(layers.map(({ key, note }) => [key, note?.size]));
  if (context.json) {
    context.stdout(`${JSON.stringify({ images, layers: layers.map(forMachines) })}\n`);
    return EXIT.done;
  }
  const imageRows = images.map(({ reference, digest, layers: keys, usedBy }) => [
    digest.slice(7, 19),
    formatSize([...new Set(keys)].reduce((sum, key) => sum + (sizes.get(key) ?? 0), 0)),
    String(keys.length),
    usedBy.join(',') || '-',
    reference,
  ]);
  const layerRows = layers
    .toSorted((a, b) => (a.note?.created ?? 0) - (b.note?.created ?? 0))
    .map(({ key, note, usedBy }) => [
      key.slice(0, 12),
      note === undefined ? '?' : formatSize(note.size),
      note === undefined ? '?' : String(note.entries),
      note === undefined ? '?' : new Date(note.created).toISOString().slice(0, 16).replace('T', ' '),
      usedBy.join(',') || '-',
      note === undefined ? '?' : showSource(note.source),
    ]);
  if (imageRows.length > 0)
    context.stdout(`${renderTable([['IMAGE', 'SIZE', 'LAYERS', 'USED BY', 'REFERENCE'], ...imageRows])}\n`);
  context.stdout(
    renderTable([['LAYER', 'SIZE', 'ENTRIES', 'CREATED (UTC)', 'USED BY', 'SOURCE'], ...layerRows]),
  );
  return EXIT.done;
}

/** Puts archives into the store and prints their sha256, one a line, as a spec would pin them. */
export async function addImages(context: CommandContext, files: readonly string[]): Promise<number> {
  await requireRoot(context);
  const keys: string[] = [];
  await withDisplay(context, async (layers) => {
    for (const file of files)
      keys.push(await addArchive(layers, path.resolve(context.workingDirectory, file)));
  });
  context.stdout(context.json ? `${JSON.stringify(keys)}\n` : keys.map((key) => `${key}\n`).join(''));
  return EXIT.done;
}

/** @param names references of images, keys of layers, or unambiguous beginnings of keys. */
export async function removeImages(context: CommandContext, names: readonly string[]): Promise<number> {
  await requireRoot(context);
  const { host, dataDir } = context;
  // Unknown names are reported at once, before waiting for the lock.
  await chooseUnused(context, names);
  const removed = await withRemoval(collecting(context), async (take) => {
    const chosen = await chooseUnused(context, names);
    const references = chosen.flatMap((one) => ('reference' in one ? [one.reference] : []));
    for (const reference of references) await removeTag(host, dataDir, reference);
    // An image takes those of its layers along that nothing else needs.
    const freed = new Set(chosen.flatMap((one) => ('key' in one ? [one.key] : one.layers)));
    const keys = (await listLayers(host, dataDir)).flatMap((layer) =>
      freed.has(layer.key) && !isUsed(layer) ? [layer.key] : [],
    );
    for (const key of keys) await take(key);
    return [...references, ...keys];
  });
  report(context, removed);
  return EXIT.done;
}

/** @throws UsageError for names that are unknown, and for what is in use. */
async function chooseUnused(
  context: CommandContext,
  names: readonly string[],
): Promise<readonly (StoredImage | StoredLayer)[]> {
  const { host, dataDir } = context;
  const [images, layers] = await Promise.all([listImages(host, dataDir), listLayers(host, dataDir)]);
  return names.map((name) => {
    const one = isReference(name)
      ? chooseImage(images, fullReference(context, name))
      : chooseLayer(layers, name);
    checkUnused(one);
    return one;
  });
}

/** Context for a removal. Layers are taken out under the lock, so that no container comes or goes meanwhile. */
function collecting(context: CommandContext): CollectContext {
  const { host, dataDir, lockTimeout, signal, quiet } = context;
  return {
    host,
    dataDir,
    signal,
    progress: (text) => (quiet ? undefined : context.stderr(text)),
    exclusively: (task) => withLock(host, dataDir, lockTimeout, task),
  };
}

/** The reference as in a spec: with an absolute path, or registry and tag written out. @throws UsageError */
function fullReference({ workingDirectory }: CommandContext, text: string): string {
  const parsed = parseImageReference(text, workingDirectory);
  if ('value' in parsed) return formatImageReference(parsed.value);
  throw new UsageError(`${showSource(text)} ${parsed.problem}`, parsed.hint);
}

function isReference(text: string): boolean {
  return 'value' in parseImageReference(text, '/');
}

function checkUnused(one: StoredImage | StoredLayer): void {
  const name = 'reference' in one ? `image ${one.reference}` : `layer ${one.key.slice(0, 12)}`;
  if (one.usedBy.length > 0)
    throw new UsageError(
      `${name} is used by ${one.usedBy.join(', ')}`,
      'take it down first: runspec down NAME',
    );
  const [tag] = 'taggedBy' in one ? one.taggedBy : [];
  if (tag !== undefined) throw new UsageError(`${name} belongs to ${tag}`, `runspec image rm ${tag}`);
}

export async function collectImages(context: CommandContext): Promise<number> {
  await requireRoot(context);
  const { layers, leftovers } = await collectGarbage(collecting(context));
  report(
    context,
    layers.map((layer) => layer.key),
  );
  const freed = layers.reduce((sum, layer) => sum + (layer.note?.size ?? 0), 0);
  if (!context.quiet) {
    const others = leftovers === 0 ? '' : ` and ${leftovers} leftovers`;
    context.stderr(`removed ${layers.length} layers (${formatSize(freed)})${others}`);
  }
  return EXIT.done;
}

/** Pulls images anew, and makes every layer of the specs present, so that a later apply needs no network. */
export async function pullImages(
  context: CommandContext,
  references: readonly string[],
  loaded: LoadedSpecs | undefined,
): Promise<number> {
  await requireRoot(context);
  const keys = await withDisplay(context, async (layers) => {
    const pulled: string[] = [];
    for (const text of references)
      pulled.push(...keysOf(await pullImage(layers, fullReference(context, text))));
    for (const one of loaded?.specs ?? []) {
      const { spec } = one;
      if (spec.rootfs.kind === 'image' && isRemote(spec.rootfs.image))
        await pullImage(layers, spec.rootfs.image);
      await fetchSources(layers, spec, { local: false }).catch(async (error: unknown) => {
        throw await placeByPath(error, one);
      });
    }
    return loaded === undefined ? pulled : [...pulled, ...(await makeLayers(context, layers, loaded))];
  });
  report(context, [...new Set(keys)]);
  return EXIT.done;
}

async function makeLayers(
  context: CommandContext,
  layers: LayerContext,
  loaded: LoadedSpecs,
): Promise<readonly string[]> {
  const { host, archives, dataDir, signal } = context;
  const resolved = await Promise.all(
    loaded.specs.map(({ spec }) => resolveLayers(host, archives, dataDir, spec, signal)),
  );
  await checkCompiled(
    context,
    loaded,
    resolved.map(({ diagnostics }) => ({ plan: undefined, diagnostics })),
  );
  const recipes = resolved.flatMap((one) => one.layers.flatMap(({ recipe }) => recipe ?? []));
  // Layers are made one after the other: folders and inline files are placed by what the layers below them hold.
  for (const recipe of recipes) await ensureLayer(layers, recipe);
  return recipes.map((recipe) => recipe.key);
}

function withDisplay<T>(context: CommandContext, work: (layers: LayerContext) => Promise<T>): Promise<T> {
  const { host, archives, dataDir, signal, quiet } = context;
  return withLayerDisplay(context, ({ stderr, follow }) =>
    work({ host, archives, dataDir, signal, ...follow((text) => (quiet ? undefined : stderr(text))) }),
  );
}

function chooseImage(images: readonly StoredImage[], reference: string): StoredImage {
  const found = images.find((image) => image.reference === reference);
  if (found !== undefined) return found;
  throw new UsageError(`there is no image ${reference}`, 'runspec image ls lists them');
}

function chooseLayer(layers: readonly StoredLayer[], name: string): StoredLayer {
  const matching = /^[0-9a-f]{4,64}$/.test(name) ? layers.filter((layer) => layer.key.startsWith(name)) : [];
  const [first, second] = matching;
  if (first === undefined)
    throw new UsageError(`there is no image or layer ${name}`, 'runspec image ls lists them');
  if (second !== undefined)
    throw new UsageError(`${name} is the beginning of ${matching.length} layers`, 'give more digits');
  return first;
}

function report(context: CommandContext, keys: readonly string[]): void {
  context.stdout(context.json ? `${JSON.stringify(keys)}\n` : keys.map((key) => `${key}\n`).join(''));
}

function forMachines({ key, note, usedBy, taggedBy }: StoredLayer): Readonly<Record<string, unknown>> {
  const created = note === undefined ? {} : { created: new Date(note.created).toISOString() };
  return { key, ...note, ...created, usedBy, taggedBy };
}

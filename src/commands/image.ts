// runspec image ls | add | rm | gc | pull: what lies in the store of layers.
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { collectGarbage, listLayers, removeLayers, type StoredLayer } from '../image/collect.ts';
import { ensureLayer } from '../image/ensure-layer.ts';
import { fetchUnpinned, resolveLayers, type ResolvedLayers } from '../image/resolve-layers.ts';
import { addArchive, type LayerContext } from '../image/unpack-tarball.ts';
import { requireRoot } from './apply.ts';
import { EXIT, type CommandContext } from './context.ts';
import { renderTable } from './render-table.ts';
import { checkCompiled, type LoadedSpecs } from './load-specs.ts';

export async function listImages(context: CommandContext): Promise<number> {
  requireRoot(context);
  const layers = await listLayers(context.host, context.dataDir);
  if (context.json) {
    context.stdout(`${JSON.stringify(layers.map(forMachines))}\n`);
    return EXIT.done;
  }
  const rows = [...layers]
    .sort((a, b) => (a.record?.created ?? 0) - (b.record?.created ?? 0))
    .map(({ key, record, usedBy }) => [
      key.slice(0, 12),
      record === undefined ? '?' : formatSize(record.size),
      record === undefined ? '?' : String(record.entries),
      record === undefined ? '?' : new Date(record.created).toISOString().slice(0, 16).replace('T', ' '),
      usedBy.join(',') || '-',
      record?.source ?? '?',
    ]);
  context.stdout(renderTable([['LAYER', 'SIZE', 'ENTRIES', 'CREATED (UTC)', 'USED BY', 'SOURCE'], ...rows]));
  return EXIT.done;
}

/** Puts archives into the store and prints their sha256, one a line, as a spec would pin them. */
export async function addImages(context: CommandContext, files: readonly string[]): Promise<number> {
  requireRoot(context);
  const keys: string[] = [];
  for (const file of files)
    keys.push(await addArchive(layerContext(context), path.resolve(context.workingDirectory, file)));
  context.stdout(context.json ? `${JSON.stringify(keys)}\n` : keys.map((key) => `${key}\n`).join(''));
  return EXIT.done;
}

/** `names`: keys or the unambiguous beginnings of keys. */
export async function removeImages(context: CommandContext, names: readonly string[]): Promise<number> {
  requireRoot(context);
  const layers = await listLayers(context.host, context.dataDir);
  const chosen = [...new Set(names.map((name) => chooseLayer(layers, name)))];
  for (const { key, usedBy } of chosen) {
    if (usedBy.length === 0) continue;
    throw new UsageError(
      `layer ${key.slice(0, 12)} is used by ${usedBy.join(', ')}`,
      'take it down first: runspec down NAME',
    );
  }
  const keys = chosen.map((layer) => layer.key);
  await removeLayers(context.host, context.dataDir, keys);
  report(context, keys);
  return EXIT.done;
}

export async function collectImages(context: CommandContext): Promise<number> {
  requireRoot(context);
  const { layers, leftovers } = await collectGarbage(context.host, context.dataDir);
  report(
    context,
    layers.map((layer) => layer.key),
  );
  const freed = layers.reduce((sum, layer) => sum + (layer.record?.size ?? 0), 0);
  if (!context.quiet) {
    const others = leftovers === 0 ? '' : ` and ${leftovers} leftovers`;
    context.stderr(`removed ${layers.length} layers (${formatSize(freed)})${others}`);
  }
  return EXIT.done;
}

/** Makes every layer of the specs present, so that a later apply needs no network. */
export async function pullImages(context: CommandContext, loaded: LoadedSpecs): Promise<number> {
  requireRoot(context);
  const { host, archives, dataDir, signal } = context;
  const layers = layerContext(context);
  const resolved: ResolvedLayers[] = [];
  for (const { spec } of loaded.specs) {
    await fetchUnpinned(layers, spec);
    resolved.push(await resolveLayers(host, archives, dataDir, spec, signal));
  }
  checkCompiled(
    context,
    loaded,
    resolved.map(({ diagnostics }) => ({ plan: undefined, diagnostics })),
  );
  const keys: string[] = [];
  for (const { recipe } of resolved.flatMap((one) => one.layers)) {
    if (recipe === undefined) continue;
    await ensureLayer(layers, recipe);
    keys.push(recipe.key);
  }
  report(context, [...new Set(keys)]);
  return EXIT.done;
}

function layerContext({ host, archives, dataDir, signal, quiet, stderr }: CommandContext): LayerContext {
  return { host, archives, dataDir, signal, progress: (text) => (quiet ? undefined : stderr(text)) };
}

function chooseLayer(layers: readonly StoredLayer[], name: string): StoredLayer {
  const matching = /^[0-9a-f]{4,64}$/.test(name) ? layers.filter((layer) => layer.key.startsWith(name)) : [];
  const [first, second] = matching;
  if (first === undefined) throw new UsageError(`there is no layer ${name}`, 'runspec image ls lists them');
  if (second !== undefined)
    throw new UsageError(`${name} is the beginning of ${matching.length} layers`, 'give more digits');
  return first;
}

function report(context: CommandContext, keys: readonly string[]): void {
  context.stdout(context.json ? `${JSON.stringify(keys)}\n` : keys.map((key) => `${key}\n`).join(''));
}

function forMachines({ key, record, usedBy }: StoredLayer): Readonly<Record<string, unknown>> {
  return { key, ...record, usedBy };
}

function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

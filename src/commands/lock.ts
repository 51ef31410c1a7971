// runspec lock: writes down what the archives and images of specs are now, beside the specs, for apply --locked.
import { dirname } from 'node:path';
import { InvalidSpecError, OperationError, UsageError, type Diagnostic } from '../errors.ts';
import {
  LOCK_FILE,
  lockableSources,
  lockKey,
  parseLock,
  pinToLock,
  renderLock,
  type LockableSource,
  type LockFile,
  type LockedSource,
} from '../image/lock-file.ts';
import { measureArchive, type LayerContext } from '../image/unpack-tarball.ts';
import { readFromSource } from '../image/use-image.ts';
import { isRemote } from '../image/remote-sources.ts';
import type { LoadedSpec } from '../load/load.ts';
import { showSource } from '../load/show-source.ts';
import { EXIT, type CommandContext } from './context.ts';
import { loadSpecs, placeDiagnostic, showDiagnostics, type LoadedSpecs } from './load-specs.ts';

export async function lock(context: CommandContext, args: readonly string[]): Promise<number> {
  const loaded = await loadSpecs(context, args);
  const folders = new Map<string, LoadedSpec[]>();
  for (const spec of loaded.specs) {
    const folder = folderOf(loaded, spec);
    folders.set(folder, [...(folders.get(folder) ?? []), spec]);
  }
  for (const [folder, specs] of folders) await lockFolder(context, folder, specs);
  return EXIT.done;
}

/** Writes the lock file of a folder. Entries that other specs of the folder need stay in it. */
async function lockFolder(
  context: CommandContext,
  folder: string,
  specs: readonly LoadedSpec[],
): Promise<void> {
  const file = `${folder}/${LOCK_FILE}`;
  const former = await readLock(context, file);
  const sources: Record<string, LockedSource> = { ...former?.sources };
  for (const source of specs.flatMap(({ spec }) => lockableSources(spec)))
    sources[lockKey(source, folder)] = await measure(context, source);
  await context.host.writeAtomic(file, renderLock(sources), { mode: 0o644 });
  if (context.json) context.stdout(`${JSON.stringify({ file, sources })}\n`);
  else if (!context.quiet) {
    const count = Object.keys(sources).length;
    context.stderr(`${file} holds ${count} ${count === 1 ? 'source' : 'sources'}`);
  }
}

/** @throws UsageError when the file is no lock file of this version. */
async function readLock({ host }: CommandContext, file: string): Promise<LockFile | undefined> {
  const text = await host.readText(file);
  if (text === undefined) return undefined;
  const lockFile = parseLock(text);
  if (lockFile !== undefined) return lockFile;
  throw new UsageError(
    `${file} is not a lock file of this version`,
    'remove it, then lock all specs again: runspec lock SPEC',
  );
}

async function measure(context: CommandContext, source: LockableSource): Promise<LockedSource> {
  const progress = (text: string): void => (context.quiet ? undefined : context.stderr(text));
  const layers: LayerContext = { ...context, progress };
  if (source.kind === 'image') {
    const image = await readFromSource(layers, source.image);
    const size = image.layers.reduce((sum, layer) => sum + layer.descriptor.size, 0);
    // An index serves every platform that reads the lock file; a folder or an archive has one of its own.
    return { digest: isRemote(source.image) ? image.root : image.digest, size };
  }
  const { sha256, size } = await measureArchive(layers, source.tarball, source.sha256);
  if (source.sha256 !== undefined && source.sha256 !== sha256) {
    throw new OperationError(
      `${showSource(source.tarball)} has sha256 ${sha256}, but the spec pins ${source.sha256}`,
      {
        hint: 'correct the pin, or the archive',
      },
    );
  }
  return { digest: `sha256:${sha256}`, size };
}

/** The specs with all their archives and images pinned. @throws InvalidSpecError when the lock says something else. */
export async function applyLocks(context: CommandContext, loaded: LoadedSpecs): Promise<LoadedSpecs> {
  const diagnostics: Diagnostic[] = [];
  const specs: LoadedSpec[] = [];
  for (const one of loaded.specs) {
    const folder = folderOf(loaded, one);
    const file = `${folder}/${LOCK_FILE}`;
    const lockFile = await readLock(context, file);
    if (lockFile === undefined)
      throw new UsageError(`there is no lock file at ${file}`, 'make it with: runspec lock SPEC');
    const pinned = pinToLock(one.spec, lockFile, folder);
    for (const diagnostic of pinned.diagnostics) diagnostics.push(await placeDiagnostic(one, diagnostic));
    specs.push({ ...one, spec: pinned.spec });
  }
  showDiagnostics(context, diagnostics, loaded.sources);
  if (diagnostics.length > 0) throw new InvalidSpecError(diagnostics);
  return { ...loaded, specs };
}

function folderOf(loaded: LoadedSpecs, spec: LoadedSpec): string {
  return loaded.sources.find((source) => source.file === spec.file)?.baseDir ?? dirname(spec.file);
}

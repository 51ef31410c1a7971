// commit: what a container is made of and what it changed, kept as an image or an archive.
import path from 'node:path';
import { UsageError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Packing } from '../host/packing.ts';
import { renderConfig, renderManifest, type Document } from '../image/commit-documents.ts';
import { packLayer, type PackableLayer } from '../image/pack-layer.ts';
import { platformOf } from '../image/platform.ts';
import { removeStaleFolders, withWorkFolder } from '../image/work-folder.ts';
import { ArchiveWriter, endDockerArchive, layerName } from '../image/write-docker-archive.ts';
import { keepBlob, makeBlobFolder, prepareLayout, tagManifest } from '../image/write-layout.ts';
import { parseImageReference } from '../load/image-reference.ts';
import type { Plan } from '../plan/plan.ts';
import { readMounts } from '../host/kernel-view.ts';
import { removeWhenEmpty } from '../host/remove-when-empty.ts';
import { layersToPack, mergedToPack } from '../run/commit-layers.ts';
import { readContainerLayers, stepOf } from '../run/container-layers.ts';
import { whileFrozen } from '../runtime/freeze.ts';
import { requireRoot } from './require-root.ts';
import { EXIT, type CommandContext } from './context.ts';
import { findPlan } from './find-container.ts';

export interface CommitOptions {
  readonly output: string;
  /** Hold the container's processes still meanwhile. */
  readonly pause: boolean;
}

type Output =
  | { readonly kind: 'layout'; readonly folder: string; readonly tag: string }
  | { readonly kind: 'docker-archive'; readonly file: string; readonly tag: string }
  | { readonly kind: 'tarball'; readonly file: string };

/** Context of one commit. */
interface Commit {
  readonly context: CommandContext;
  readonly packing: Packing;
  readonly plan: Plan;
  /** Seconds since the epoch: no time in the result is later. */
  readonly latest: number | undefined;
}

/** Prefix of the names of work folders beside an output. */
const WORK = '.runspec-';

export async function commit(
  context: CommandContext,
  name: string,
  { output: text, pause }: CommitOptions,
): Promise<number> {
  await requireRoot(context);
  const output = parseOutput(context, name, text);
  const plan = await findPlan(context, name);
  await checkOutput(context.host, output);
  const latest = parseEpoch(context.environment['SOURCE_DATE_EPOCH']);
  const about = { context, plan, latest, packing: await context.packing() };
  const digest = await (pause
    ? whileFrozen(context.host, await readMounts(context.host), stepOf(plan, 'process').cgroup, () =>
        write(about, output),
      )
    : write(about, output));
  context.stdout(
    context.json ? `${JSON.stringify({ container: name, output: text, digest })}\n` : `${digest}\n`,
  );
  return EXIT.done;
}

/** @returns the digest that names what was written: of the manifest, the config or the archive. */
async function write(about: Commit, output: Output): Promise<string> {
  const { context, plan } = about;
  const { host } = context;
  const container = await readContainerLayers(host, plan);
  if (output.kind === 'layout') {
    const isNew = await prepareLayout(host, output.folder);
    try {
      return await withOutputFolder(about, output.folder, (work) =>
        writeLayout(about, layersToPack(plan.name, container), output, work),
      );
    } catch (error) {
      if (isNew) await removeWhenEmpty(host, output.folder);
      throw error;
    }
  }
  return withOutputFolder(about, path.dirname(output.file), async (work) => {
    const file = `${work}/output`;
    const digest =
      output.kind === 'tarball'
        ? await writeTarball(
            about,
            await mergedToPack(about.packing, plan.name, container, context.signal),
            file,
            {
              compress: !output.file.endsWith('.tar'),
            },
          )
        : await writeDockerArchive(about, layersToPack(plan.name, container), output.tag, file);
    await context.archives.sync(file);
    await host.setMode(file, about.packing.fileMode);
    await host.rename(file, output.file);
    return digest;
  });
}

/**
 * Runs the task with a work folder on the file system of the output, so that a rename completes the output; work
 * folders of killed commits are removed first.
 */
async function withOutputFolder<T>(
  { context: { host } }: Commit,
  folder: string,
  task: (work: string) => Promise<T>,
): Promise<T> {
  const names = (await host.list(folder)) ?? [];
  const own = names.filter((name) => name.startsWith(WORK) && /^\d+-\d+-\d+$/.test(name.slice(WORK.length)));
  await removeStaleFolders(host, folder, WORK, own);
  return withWorkFolder(host, folder, task, WORK);
}

async function writeLayout(
  { context: { host, archives, signal }, packing, plan, latest }: Commit,
  layers: readonly PackableLayer[],
  { folder, tag }: Extract<Output, { kind: 'layout' }>,
  work: string,
): Promise<string> {
  const mode = packing.fileMode;
  const packed = [];
  for (const [index, layer] of layers.entries()) {
    const target = { file: `${work}/${index}`, offset: 0, compress: true };
    const one = await packLayer(packing, layer, target, latest, signal);
    const digest = `sha256:${one.stored}`;
    await archives.sync(target.file);
    packed.push({ ...one, ...target, digest, diffId: `sha256:${one.content}`, createdBy: layer.createdBy });
  }
  const kept = withoutEmpty(packed);
  const config = configOf(plan, kept, latest);
  const manifest = renderManifest(config.descriptor, kept);
  const documents = [config, manifest].map(({ text, descriptor: { digest } }, index) => ({
    file: `${work}/document-${index}`,
    text,
    digest,
  }));
  for (const { file, text } of documents) await host.writeAtomic(file, text);
  await makeBlobFolder(host, folder);
  for (const { file, digest } of [...kept, ...documents]) await keepBlob(host, folder, file, digest, mode);
  await tagManifest(host, folder, manifest.descriptor, tag, mode);
  return manifest.descriptor.digest;
}

async function writeDockerArchive(
  { context: { signal }, packing, plan, latest }: Commit,
  layers: readonly PackableLayer[],
  tag: string,
  file: string,
): Promise<string> {
  const archive = new ArchiveWriter(packing, file);
  const packed: (Awaited<ReturnType<typeof packLayer>> & { diffId: string; createdBy: string })[] = [];
  for (const layer of layers) {
    const target = { file, offset: archive.bodyOffset, compress: false };
    const one = await packLayer(packing, layer, target, latest, signal);
    const again = packed.some((other) => other.content === one.content);
    // A layer that comes twice is one file: the next layer overwrites its second copy.
    if (!again) await archive.endFile(layerName(one.content), one.size);
    packed.push({ ...one, diffId: `sha256:${one.content}`, createdBy: layer.createdBy });
  }
  const kept = withoutEmpty(packed);
  const config = configOf(plan, kept, latest);
  const names = kept.map(({ content }) => content);
  await endDockerArchive(archive, config, names, tag);
  return config.descriptor.digest;
}

async function writeTarball(
  { context: { signal }, packing, latest }: Commit,
  tree: PackableLayer,
  file: string,
  { compress }: { readonly compress: boolean },
): Promise<string> {
  const { stored } = await packLayer(packing, tree, { file, offset: 0, compress }, latest, signal);
  return `sha256:${stored}`;
}

/** A container that changed nothing adds no layer; an image has at least one. */
function withoutEmpty<T extends { readonly entries: number }>(layers: readonly T[]): readonly T[] {
  const filled = layers.filter(({ entries }) => entries > 0);
  return filled.length > 0 ? filled : layers.slice(0, 1);
}

function configOf(
  plan: Plan,
  layers: readonly { readonly diffId: string; readonly createdBy: string; readonly newest: number }[],
  latest: number | undefined,
): Document {
  const steps = { bundle: stepOf(plan, 'bundle'), process: stepOf(plan, 'process') };
  const created = latest ?? Math.max(0, ...layers.map(({ newest }) => newest));
  return renderConfig(plan, steps, layers, platformOf(process.arch), created);
}

function parseOutput({ workingDirectory }: CommandContext, name: string, text: string): Output {
  const hint = 'write oci:DIR[:TAG], docker-archive:FILE[:NAME[:TAG]] or FILE.tar.gz';
  if (/^(?:oci|docker-archive|dir|docker):/.test(text)) {
    const parsed = parseImageReference(text, workingDirectory);
    if ('problem' in parsed) throw new UsageError(`--output ${text} ${parsed.problem}`, parsed.hint);
    const reference = parsed.value;
    if (reference.transport === 'oci')
      return { kind: 'layout', folder: reference.path, tag: reference.name ?? 'latest' };
    if (reference.transport === 'docker-archive') {
      const tag = reference.name ?? name;
      const withTag = /:[^/]+$/.test(tag) ? tag : `${tag}:latest`;
      return { kind: 'docker-archive', file: reference.path, tag: withTag };
    }
    throw new UsageError(
      `a commit cannot be written to ${text}`,
      `${hint}; skopeo copy takes a layout anywhere else`,
    );
  }
  if (!/\.(?:tar|tar\.gz|tgz)$/.test(text))
    throw new UsageError(`--output ${text} is no image and no archive`, hint);
  return { kind: 'tarball', file: path.resolve(workingDirectory, text) };
}

/** @throws UsageError when the output cannot have that name; checked before the container is held still. */
async function checkOutput(host: Host, output: Output): Promise<void> {
  const place = output.kind === 'layout' ? output.folder : output.file;
  const [parent, found] = await Promise.all([
    host.statusOfTarget(path.dirname(place)),
    host.statusOfTarget(place),
  ]);
  if (parent === undefined)
    throw new UsageError(
      `the folder ${path.dirname(place)} does not exist`,
      'make it, or name another place',
    );
  if (parent.type !== 'directory')
    throw new UsageError(`${path.dirname(place)} is a ${parent.type}, not a folder`, 'name another place');
  if (output.kind !== 'layout' && found?.type === 'directory')
    throw new UsageError(`${place} is a folder`, 'name a file, or oci:DIR');
}

/** SOURCE_DATE_EPOCH in seconds: https://reproducible-builds.org/specs/source-date-epoch/ */
function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new UsageError(`SOURCE_DATE_EPOCH is ${text}`, 'it is a number of seconds since 1970');
}

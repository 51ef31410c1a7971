// Layers of a spec: where each lies in the store, or what it would be made from. Reads only, so that `plan` can use it;
// problems come back as diagnostics.
import { OperationError, type Diagnostic, type SpecPath } from '../errors.ts';
import { mayFetch, type Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import type { LayerSource, RootfsSource, Spec, TarballSource } from '../load/spec.ts';
import { showSource } from '../load/show-source.ts';
import type { ImageFacts, ResolvedLayer } from '../plan/facts.ts';
import type { LayerRecipe } from '../plan/layer-recipe.ts';
import { directoryKey, filesKey } from './directory-layer.ts';
import { hashArchive, type HashScope } from './hash-cache.ts';
import { readHostFiles } from './host-layer.ts';
import { readReference } from './references.ts';
import { isUrl } from './remote-sources.ts';
import { hasLayer, layerPath } from './store.ts';

export interface ResolvedLayers {
  /** Lowest first, the root filesystem included; sources that could not be resolved are missing here. */
  readonly layers: readonly ResolvedLayer[];
  readonly diagnostics: readonly Diagnostic[];
  /** URLs without a pin that were not fetched yet; with any, `layers` is incomplete. */
  readonly unfetched: readonly Unfetched[];
  /** Facts of the image that the root filesystem comes from. */
  readonly image?: ImageFacts;
}

/** URL that was not fetched yet, and its place in the spec. */
export interface Unfetched {
  readonly url: string;
  readonly path: SpecPath;
}

type Outcome =
  | { readonly layers: readonly ResolvedLayer[]; readonly image?: ImageFacts }
  | { readonly diagnostics: readonly Diagnostic[] }
  | { readonly unfetched: Unfetched };

type Scope = HashScope;

export async function resolveLayers(
  host: Host,
  archives: Archives,
  dataDir: string,
  spec: Spec,
  signal: AbortSignal = new AbortController().signal,
  mayWrite = false,
): Promise<ResolvedLayers> {
  const scope = { host, archives, dataDir, signal, mayWrite };
  const layers: ResolvedLayer[] = [];
  const diagnostics: Diagnostic[] = [];
  const unfetched: Unfetched[] = [];
  let image: ImageFacts | undefined;
  const sources = [spec.rootfs, ...spec.layers];
  for (const [index, source] of sources.entries()) {
    const path = index === 0 ? ['rootfs'] : ['layers', index - 1];
    const lower = layers.map((layer) => layer.path);
    const outcome = await resolveSource(scope, source, path, lower);
    if ('layers' in outcome) {
      layers.push(...outcome.layers);
      image ??= outcome.image;
    } else if ('unfetched' in outcome) unfetched.push(outcome.unfetched);
    else diagnostics.push(...outcome.diagnostics);
  }
  // An overlay refuses one folder twice; the topmost of two equal layers decides what is seen.
  const distinct = layers.filter(
    (layer, index) => layers.findLastIndex(({ path }) => path === layer.path) === index,
  );
  return { layers: distinct, diagnostics, unfetched, ...(image === undefined ? {} : { image }) };
}

async function resolveSource(
  scope: Scope,
  source: RootfsSource | LayerSource,
  path: SpecPath,
  lower: readonly string[],
): Promise<Outcome> {
  switch (source.kind) {
    case 'tarball':
      return resolveTarball(scope, source, [...path, 'tarball']);
    case 'directory':
      return resolveDirectory(scope, source, [...path, 'directory'], lower);
    case 'files': {
      const { files } = source;
      return store(scope, filesKey(files, lower), { kind: 'files', files, lower });
    }
    case 'host': {
      const found = await readHostFiles(scope, source.files, [...path, 'host', 'files']);
      if (found.diagnostics.length > 0) return { diagnostics: found.diagnostics };
      return store(scope, found.key, { kind: 'host', files: source.files });
    }
    case 'image':
      return resolveImage(scope, source, [...path, 'image']);
  }
}

async function resolveImage(
  scope: Scope,
  { image: reference, digest }: Extract<RootfsSource, { readonly kind: 'image' }>,
  path: SpecPath,
): Promise<Outcome> {
  // Loaded when needed: reading images is much code.
  const { findImage, imageRecipe } = await import('./use-image.ts');
  try {
    const image = await findImage(scope, reference);
    if (digest !== undefined && digest !== image.digest) {
      return problem('lock-differs', path, `${reference} is ${image.digest}, but was locked as ${digest}`, {
        hint: 'if it was changed on purpose: runspec lock SPEC',
      });
    }
    return {
      layers: image.layers.map((layer) => {
        const recipe = imageRecipe(scope.dataDir, reference, layer);
        return { path: recipe.path, recipe };
      }),
      image: { reference, digest: image.digest, config: image.config },
    };
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    const { message, hint } = error;
    return problem('unreadable-image', path, message, hint === undefined ? {} : { hint });
  }
}

async function resolveTarball(scope: Scope, source: TarballSource, path: SpecPath): Promise<Outcome> {
  const { host, dataDir } = scope;
  const { tarball, sha256 } = source;
  const layerOf = (key: string): Outcome => store(scope, key, { kind: 'tarball', tarball, sha256: key });
  if (sha256 !== undefined && (await hasLayer(host, dataDir, sha256))) return layerOf(sha256);
  if (isUrl(tarball)) return resolveUrl(scope, tarball, sha256, path, layerOf);
  const real = await host.realPath(tarball);
  const status = real === undefined ? undefined : await host.status(real);
  if (real === undefined || status === undefined) {
    return problem('missing-tarball', path, `tarball ${tarball} does not exist`, {
      hint: 'check the path; it is relative to the spec file',
    });
  }
  if (status.type !== 'file')
    return problem('not-a-file', path, `tarball ${tarball} is a ${status.type}, not a file`, {
      hint:
        status.type === 'directory' ? 'for a folder write directory instead of tarball' : 'name an archive',
    });
  return layerOf(sha256 ?? (await hashArchive(scope, real, status)));
}

async function resolveUrl(
  { host, dataDir }: Scope,
  url: string,
  sha256: string | undefined,
  path: SpecPath,
  layerOf: (key: string) => Outcome,
): Promise<Outcome> {
  if (!URL.canParse(url)) return problem('invalid-url', path, `the address of the archive is not a URL`);
  if (!mayFetch(new URL(url), sha256 !== undefined)) {
    return problem(
      'insecure-url',
      path,
      `${showSource(url)} is plain http and nothing vouches for its content`,
      {
        hint: 'use https, or pin the archive with sha256',
      },
    );
  }
  const key = sha256 ?? (await readReference(host, dataDir, url));
  return key === undefined ? { unfetched: { url, path } } : layerOf(key);
}

async function resolveDirectory(
  scope: Scope,
  source: Extract<RootfsSource | LayerSource, { kind: 'directory' }>,
  path: SpecPath,
  lower: readonly string[],
): Promise<Outcome> {
  const { host } = scope;
  const directory = await host.realPath(source.directory);
  const type = directory === undefined ? undefined : (await host.status(directory))?.type;
  if (directory === undefined || type === undefined) {
    return problem('missing-directory', path, `folder ${source.directory} does not exist`, {
      hint: 'check the path; it is relative to the spec file',
    });
  }
  if (type !== 'directory')
    return problem('not-a-directory', path, `${source.directory} is a ${type}, not a folder`, {
      hint: type === 'file' ? 'for an archive write tarball instead of directory' : 'name a folder',
    });
  // The root filesystem is used where it lies; extra layers are copied, to stand at their destination.
  if (!('destination' in source)) return { layers: [{ path: directory }] };
  const { destination } = source;
  try {
    const key = await directoryKey(scope, directory, destination, lower);
    return store(scope, key, { kind: 'directory', directory, destination, lower });
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    const { message, hint } = error;
    return problem('unreadable-directory', path, message, hint === undefined ? {} : { hint });
  }
}

type WithoutPlace<T> = T extends unknown ? Omit<T, 'key' | 'path'> : never;

function store({ dataDir }: Scope, key: string, recipe: WithoutPlace<LayerRecipe>): Outcome {
  const path = layerPath(dataDir, key);
  return { layers: [{ path, recipe: { key, path, ...recipe } }] };
}

function problem(
  code: string,
  path: SpecPath,
  message: string,
  extra: { readonly hint?: string } = {},
): Outcome {
  return { diagnostics: [{ code, severity: 'error', message, path, ...extra }] };
}

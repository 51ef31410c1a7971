// runspec.lock: digests of the archives and images of specs when they were locked, so that a checked-in spec means the
// same bytes everywhere. Pure: the commands read and write the file.
import path from 'node:path';
import type { Diagnostic, SpecPath } from '../errors.ts';
import type { RootfsSource, Spec, TarballSource } from '../load/spec.ts';
import { showSource } from '../load/show-source.ts';
import { isRemote } from './remote-sources.ts';

export const LOCK_FILE = 'runspec.lock';

export interface LockedSource {
  /** Digest of the archive as stored or served, or of the manifest or index that an image's reference names. */
  readonly digest: string;
  /** Bytes of the archive, or of all layers of the image as stored, for this machine's platform. */
  readonly size: number;
}

export interface LockFile {
  readonly version: 1;
  /** Locked sources by their text in the spec; paths are relative to the lock file. */
  readonly sources: Readonly<Record<string, LockedSource>>;
}

type ImageSpec = Extract<RootfsSource, { readonly kind: 'image' }>;

/** Archives and images only: folders and files of the host are what they are. */
export type LockableSource = TarballSource | ImageSpec;

export function lockableSources(spec: Spec): readonly LockableSource[] {
  return [spec.rootfs, ...spec.layers].filter(
    (source): source is LockableSource => source.kind === 'tarball' || source.kind === 'image',
  );
}

/** Name of a source in the lock file of `folder`, without the pin of an image's reference. */
export function lockKey(source: LockableSource, folder: string): string {
  if (source.kind === 'image' && isRemote(source.image)) return source.image.split('@')[0] ?? '';
  const text = source.kind === 'tarball' ? source.tarball : source.image;
  const [, transport = '', place = ''] = /^((?:oci|dir|docker-archive):)?(\/.*)$/s.exec(text) ?? [];
  if (place === '') return text;
  const relative = path.relative(folder, place);
  return `${transport}${relative.startsWith('../') ? '' : './'}${relative}`;
}

export function renderLock(sources: Readonly<Record<string, LockedSource>>): string {
  const sorted = Object.entries(sources).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const lock: LockFile = { version: 1, sources: Object.fromEntries(sorted) };
  return `${JSON.stringify(lock, undefined, 2)}\n`;
}

/** Parses a lock file; undefined when the text is none of this version. */
export function parseLock(text: string): LockFile | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isLockFile(value) ? value : undefined;
}

function isLockFile(value: unknown): value is LockFile {
  if (!isObject(value) || value['version'] !== 1 || !isObject(value['sources'])) return false;
  return Object.values(value['sources']).every(
    (one) =>
      isObject(one) &&
      typeof one['digest'] === 'string' &&
      /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(one['digest']) &&
      typeof one['size'] === 'number',
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The spec with every archive and image pinned to what the lock says. */
export function pinToLock(
  spec: Spec,
  lock: LockFile,
  folder: string,
): { readonly spec: Spec; readonly diagnostics: readonly Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  /** The digest to pin to; undefined after a complaint. */
  const lookUp = (source: LockableSource, pinned: string | undefined, at: SpecPath): string | undefined => {
    const key = lockKey(source, folder);
    const locked = lock.sources[key]?.digest;
    if (locked !== undefined && (pinned === undefined || pinned === locked)) return locked;
    diagnostics.push({
      code: locked === undefined ? 'not-locked' : 'lock-differs',
      severity: 'error',
      path: [...at, source.kind],
      message:
        locked === undefined
          ? `${showSource(key)} is not in ${LOCK_FILE}`
          : `${showSource(key)} is pinned to ${pinned}, but ${LOCK_FILE} says ${locked}`,
      hint: 'if it was changed on purpose: runspec lock SPEC',
    });
    return undefined;
  };
  const pinTarball = (source: TarballSource, at: SpecPath): TarballSource => {
    const digest = lookUp(source, source.sha256 && `sha256:${source.sha256}`, at);
    return digest === undefined ? source : { ...source, sha256: digest.slice('sha256:'.length) };
  };
  const pinImage = (source: ImageSpec, at: SpecPath): ImageSpec => {
    const [image, pinned] = isRemote(source.image) ? source.image.split('@') : [source.image];
    const digest = lookUp(source, pinned, at);
    if (digest === undefined) return source;
    return isRemote(source.image) ? { ...source, image: `${image}@${digest}` } : { ...source, digest };
  };
  const { rootfs } = spec;
  return {
    spec: {
      ...spec,
      rootfs:
        rootfs.kind === 'tarball'
          ? pinTarball(rootfs, ['rootfs'])
          : rootfs.kind === 'image'
            ? pinImage(rootfs, ['rootfs'])
            : rootfs,
      layers: spec.layers.map((layer, index) =>
        layer.kind === 'tarball' ? pinTarball(layer, ['layers', index]) : layer,
      ),
    },
    diagnostics,
  };
}

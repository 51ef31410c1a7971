// Root file system, layers and mounts of a document.
import type { SpecPath } from '../errors.ts';
import { describePath, quote } from './describe.ts';
import { parseSha256 } from './formats.ts';
import type {
  InlineFile as InlineFileDocument,
  Layer,
  Mount,
  SpecDocument,
} from './generated/spec-document.ts';
import { formatImageReference, parseImageReference } from './image-reference.ts';
import { parseMount, parseVolumeName } from './mounts.ts';
import { parseContainerPath, parseDestination, parseHostPath, parseLocation } from './paths.ts';
import { accept, defined, itemsOf, type Scope } from './scope.ts';
import type { InlineFile, LayerSource, MountSpec, RootfsSource, TarballSource } from './spec.ts';
import { parseMode, parseSize } from './units.ts';
import { sortKeys } from './sort-keys.ts';

export function normalizeRootfs(document: SpecDocument, scope: Scope): RootfsSource {
  const { rootfs } = document;
  const { baseDir } = scope;
  const needless = refuseWith(scope, ['rootfs'], rootfs);
  if (rootfs.tarball !== undefined) return normalizeTarball(rootfs.tarball, rootfs.sha256, ['rootfs'], scope);
  needless('sha256', 'tarball');
  if (rootfs.image !== undefined) {
    const image = accept(
      scope,
      'image',
      parseImageReference(rootfs.image, baseDir),
      ['rootfs', 'image'],
      rootfs.image,
    );
    return { kind: 'image', image: image === undefined ? rootfs.image : formatImageReference(image) };
  }
  if (rootfs.host !== undefined) {
    const files = itemsOf(rootfs.host.files).map(
      ([index, file]) =>
        accept(scope, 'path', parseHostPath(file, baseDir), ['rootfs', 'host', 'files', index], file) ?? file,
    );
    return { kind: 'host', files };
  }
  return {
    kind: 'directory',
    directory: normalizeDirectory(rootfs.directory ?? '.', ['rootfs', 'directory'], scope),
  };
}

export function normalizeLayers(document: SpecDocument, scope: Scope): readonly LayerSource[] {
  return itemsOf(document.layers).map(([index, layer]) => normalizeLayer(layer, ['layers', index], scope));
}

function normalizeLayer(layer: Layer, path: SpecPath, scope: Scope): LayerSource {
  const needless = refuseWith(scope, path, layer);
  if (layer.tarball !== undefined) {
    needless('destination', 'directory');
    return normalizeTarball(layer.tarball, layer.sha256, path, scope);
  }
  needless('sha256', 'tarball');
  if (layer.files !== undefined) {
    needless('destination', 'directory');
    return { kind: 'files', files: normalizeFiles(layer.files, [...path, 'files'], scope) };
  }
  const { directory = '.', destination = '/' } = layer;
  return {
    kind: 'directory',
    directory: normalizeDirectory(directory, [...path, 'directory'], scope),
    destination:
      accept(scope, 'absolutePath', parseContainerPath(destination), [...path, 'destination'], destination) ??
      '/',
  };
}

function normalizeTarball(
  tarball: string,
  sha256: string | undefined,
  path: SpecPath,
  scope: Scope,
): TarballSource {
  return {
    kind: 'tarball',
    tarball:
      accept(scope, 'path', parseLocation(tarball, scope.baseDir), [...path, 'tarball'], tarball) ?? tarball,
    ...defined({
      sha256:
        sha256 === undefined
          ? undefined
          : accept(scope, 'sha256', parseSha256(sha256), [...path, 'sha256'], sha256),
    }),
  };
}

function normalizeDirectory(directory: string, path: SpecPath, scope: Scope): string {
  return accept(scope, 'path', parseHostPath(directory, scope.baseDir), path, directory) ?? directory;
}

function normalizeFiles(
  files: Readonly<Record<string, InlineFileDocument>>,
  path: SpecPath,
  scope: Scope,
): Record<string, InlineFile> {
  const result = new Map<string, InlineFile>();
  for (const [key, file] of Object.entries(files)) {
    const place = [...path, key];
    const parsed = parseContainerPath(key);
    if ('problem' in parsed) {
      const message = `${quote(key)} in ${describePath(path)} ${parsed.problem}`;
      scope.report({ code: 'bad-path', message, hint: parsed.hint, path: place, atKey: true });
      continue;
    }
    const target = parsed.value;
    if (target === '/' || key.endsWith('/')) {
      scope.report({
        code: 'bad-path',
        message: `${describePath(place)} is a folder, not a file`,
        hint: 'write the path of a file',
        path: place,
        atKey: true,
      });
    } else if (result.has(target)) {
      scope.report({
        code: 'duplicate-file',
        message: `${target} is given twice in ${describePath(path)}`,
        hint: 'keep one of them',
        path: place,
        atKey: true,
      });
    } else {
      result.set(target, normalizeFile(file, place, scope));
    }
  }
  for (const target of result.keys()) {
    const parent = parentsOf(target).find((folder) => result.has(folder));
    if (parent === undefined) continue;
    const message = `${target} is below ${parent}, which is a file`;
    scope.report({
      code: 'conflict',
      message,
      hint: 'rename one of them',
      path: [...path, target],
      atKey: true,
    });
  }
  return sortKeys([...result]);
}

/** The folders above an absolute path, nearest first, without the root. */
function parentsOf(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(2).map((_, index) => parts.slice(0, parts.length - 1 - index).join('/'));
}

function normalizeFile(file: InlineFileDocument, path: SpecPath, scope: Scope): InlineFile {
  const { text, mode = '0644', uid = 0, gid = 0 } = typeof file === 'string' ? { text: file } : file;
  return { text, mode: accept(scope, 'mode', parseMode(mode), [...path, 'mode'], mode) ?? 0o644, uid, gid };
}

export function normalizeMounts(document: SpecDocument, scope: Scope): readonly MountSpec[] {
  const seen = new Map<string, SpecPath>();
  return itemsOf(document.mounts).flatMap(([index, input]) => {
    const path = ['mounts', index];
    const mount = normalizeMount(input, path, scope);
    if (mount === undefined) return [];
    const former = seen.get(mount.destination);
    if (former !== undefined) {
      scope.report({
        code: 'duplicate-destination',
        message: `${describePath(path)} has the destination ${mount.destination} of ${describePath(former)}`,
        hint: 'one of the two would be hidden: remove it or change its destination',
        path: typeof input === 'string' ? path : [...path, 'destination'],
      });
    }
    if (mount.destination === '/dev' && mount.type !== 'bind') {
      scope.report({
        code: 'hidden-devices',
        message: `${describePath(path)} covers /dev, and with it the devices that every process needs`,
        hint: 'mount it on a folder below /dev, or elsewhere; devices are added with devices: [/dev/fuse]',
        path: typeof input === 'string' ? path : [...path, 'destination'],
      });
    }
    seen.set(mount.destination, path);
    return [mount];
  });
}

function normalizeMount(mount: Mount, path: SpecPath, scope: Scope): MountSpec | undefined {
  if (typeof mount === 'string') return accept(scope, 'mount', parseMount(mount, scope.baseDir), path, mount);
  const { type, source = '', readOnly = false } = mount;
  const needless = refuseWith(scope, path, mount);
  const destination = accept(
    scope,
    'absolutePath',
    parseDestination(mount.destination),
    [...path, 'destination'],
    mount.destination,
  );
  if (destination === undefined) return undefined;
  if (type === 'tmpfs') {
    needless('source', 'type bind or volume');
    const { mode = '1777' } = mount;
    const size = normalizeTmpfsSize(mount.size, [...path, 'size'], scope);
    return {
      type,
      destination,
      ...defined({ size }),
      mode: accept(scope, 'mode', parseMode(mode), [...path, 'mode'], mode) ?? 0o1777,
      readOnly,
    };
  }
  needless('size', 'type tmpfs');
  needless('mode', 'type tmpfs');
  const at = [...path, 'source'];
  const parsed =
    type === 'bind'
      ? accept(scope, 'path', parseHostPath(source, scope.baseDir), at, source)
      : accept(scope, 'volume-name', parseVolumeName(source), at, source);
  return parsed === undefined ? undefined : { type, source: parsed, destination, readOnly };
}

/** `size=0` is no limit at all: mm/shmem.c. */
function normalizeTmpfsSize(
  input: string | number | undefined,
  path: SpecPath,
  scope: Scope,
): number | undefined {
  if (input === undefined) return undefined;
  const size = accept(scope, 'size', parseSize(input), path, input);
  if (size !== 0) return size;
  const hint = 'leave it out for half of the memory, or mount it readOnly';
  scope.report({
    code: 'out-of-range',
    message: `${describePath(path)} ${quote(input)} holds nothing`,
    hint,
    path,
  });
  return undefined;
}

/** A key that would have no effect is refused: nothing asked for is dropped silently. */
function refuseWith(scope: Scope, path: SpecPath, given: object): (key: string, needed: string) => void {
  return (key, needed) => {
    const value: unknown = (given as Readonly<Record<string, unknown>>)[key];
    if (value === undefined) return;
    scope.report({
      code: 'needless-key',
      message: `${describePath([...path, key])} ${quote(value)} has no effect without ${needed}`,
      hint: `remove ${key}`,
      path: [...path, key],
      atKey: true,
    });
  };
}

// A read-only layer of the image store. All containers with the same content share it, so a revert leaves it there;
// `runspec image gc` removes layers that nothing refers to.
import type { LayerRecipe } from '../plan/layer-recipe.ts';
import type { LayerStep } from '../plan/plan.ts';
import { ensureLayer } from '../image/ensure-layer.ts';
import type { Op } from './op.ts';
import { hereDocument, quote, quoteAll } from './shell.ts';
import { showSource } from '../load/show-source.ts';

export const layer: Op<'layer'> = {
  // The step's id has the layer's key, and equal keys mean equal content, whatever else in the recipe is different.
  passive: ['layer'],
  describe: ({ layer: recipe }) => `layer ${recipe.key.slice(0, 12)} ${describeSource(recipe)}`,

  async probe({ host }, { layer: recipe }) {
    // Layers appear whole, by one rename, and are never written to: it is enough that the folder exists.
    const found = await host.status(recipe.path);
    if (found === undefined) return { state: 'absent' };
    if (found.type === 'directory') return { state: 'present' };
    return {
      state: 'drifted',
      inPlace: false,
      differences: [{ property: 'type', wanted: 'directory', found: found.type }],
    };
  },

  apply: (context, step) => ensureLayer(context, step.layer),

  revert: async ({ host }, { layer: recipe }) =>
    (await host.status(recipe.path)) === undefined
      ? { outcome: 'gone' }
      : { outcome: 'kept', reason: 'layers stay in the store until runspec image gc' },

  toShell,
};

function describeSource(recipe: LayerRecipe): string {
  switch (recipe.kind) {
    case 'tarball':
      return `from ${showSource(recipe.tarball)}`;
    case 'directory':
      return `from ${recipe.directory} at ${recipe.destination}`;
    case 'files':
      return `with ${Object.keys(recipe.files).join(', ')}`;
    case 'host':
      return `of host files ${recipe.files.join(', ')}`;
    case 'image':
      return `from ${recipe.image}`;
  }
}

/** The shell form does not follow symlinks of the layers below, as `apply` does: a script cannot know them. */
function toShell({ layer: recipe }: LayerStep): readonly string[] {
  const layers = recipe.path.slice(0, recipe.path.lastIndexOf('/'));
  // Mode 700 as in the store: every later apply would refuse a store that is open to others.
  const store = quoteAll(['mkdir', '-p', '-m', '700', layers.slice(0, layers.lastIndexOf('/')), layers]);
  return [store, ...contentShell(recipe)];
}

function contentShell(recipe: LayerRecipe): readonly string[] {
  const make = `mkdir -p ${quote(recipe.path)}`;
  switch (recipe.kind) {
    case 'tarball':
      return unpackShell(recipe.tarball, recipe.sha256, recipe.path);
    case 'directory': {
      const target = recipe.path + (recipe.destination === '/' ? '' : recipe.destination);
      return [`mkdir -p ${quote(target)}`, quoteAll(['cp', '-a', `${recipe.directory}/.`, target])];
    }
    case 'files':
      return [
        make,
        ...Object.entries(recipe.files).flatMap(([path, file]) => fileShell(recipe.path + path, file)),
      ];
    case 'host':
      // ldd lists the libraries of the programs among the files; it fails for other files, which a pipe passes over.
      return [
        make,
        `mkdir -p -m 1777 ${quote(`${recipe.path}/tmp`)}`,
        `mkdir -p ${['etc', 'root', 'run', 'var/lib', 'var/log'].map((name) => quote(`${recipe.path}/${name}`)).join(' ')}`,
        // Accounts of people (user ids from 1000) are left out.
        ...['passwd', 'group'].map(
          (name) =>
            `awk -F: '$3 < 1000 || $3 == 65534' /etc/${name} > ${quote(`${recipe.path}/etc/${name}`)}`,
        ),
        `ldd ${quoteAll(recipe.files)} 2>/dev/null | sed -n 's|^[^/]*/\\([^ ]*\\) (0x.*|\\1|p' | sort -u | tar --create --dereference --directory / --files-from - ${quoteAll(recipe.files.map((file) => file.slice(1)))} | tar --extract --preserve-permissions --directory ${quote(recipe.path)}`,
      ];
    case 'image':
      // Blobs of an OCI layout have their digest as their name; other kinds are copied to one first.
      return imageShell(recipe);
  }
}

function imageShell(recipe: Extract<LayerRecipe, { readonly kind: 'image' }>): readonly string[] {
  const isLayout = recipe.image.startsWith('oci:');
  const layout = isLayout ? (recipe.image.split(':')[1] ?? '') : '/tmp/runspec-image';
  const blob = `${layout}/blobs/${recipe.digest.replace(':', '/')}`;
  const compression = /[+.](gzip|zstd)$/.exec(recipe.mediaType)?.[1];
  return [
    ...(isLayout ? [] : [quoteAll(['skopeo', 'copy', recipe.image, `oci:${layout}:latest`])]),
    `echo ${quote(`${recipe.digest.slice(7)}  ${blob}`)} | ${recipe.digest.slice(0, 6)}sum --check`,
    refuseWhiteouts(blob, compression),
    `mkdir -p ${quote(recipe.path)}`,
    quoteAll([
      'tar',
      '--extract',
      ...(compression === undefined ? [] : [`--${compression}`]),
      '--preserve-permissions',
      '--numeric-owner',
      '--xattrs',
      '--file',
      blob,
      '--directory',
      recipe.path,
    ]),
  ];
}

function unpackShell(tarball: string, sha256: string, path: string): readonly string[] {
  const isUrl = /^https?:/i.test(tarball);
  const file = isUrl ? `/tmp/${sha256}` : tarball;
  return [
    ...(isUrl ? [quoteAll(['curl', '--fail', '--location', '--output', file, tarball])] : []),
    `echo ${quote(`${sha256}  ${file}`)} | sha256sum --check`,
    refuseWhiteouts(file),
    `mkdir -p ${quote(path)}`,
    quoteAll([
      'tar',
      '--extract',
      '--preserve-permissions',
      '--numeric-owner',
      '--xattrs',
      '--file',
      file,
      '--directory',
      path,
    ]),
  ];
}

/**
 * Refuses archives with whiteouts: GNU tar would make files of them, and what they delete would be there. This comes
 * before the folder is made, as a folder in the store counts as whole.
 */
function refuseWhiteouts(archive: string, compression?: string): string {
  const list = [
    'tar',
    '--list',
    ...(compression === undefined ? [] : [`--${compression}`]),
    '--file',
    archive,
  ];
  const message = `${archive} deletes files of the layers below it, which only runspec can do`;
  return `if ${quoteAll(list)} | grep -q '\\(^\\|/\\)\\.wh\\.'; then echo ${quote(message)} >&2; exit 1; fi`;
}

function fileShell(
  path: string,
  {
    text,
    mode,
    uid,
    gid,
  }: { readonly text: string; readonly mode: number; readonly uid: number; readonly gid: number },
): readonly string[] {
  return [
    `mkdir -p ${quote(path.slice(0, path.lastIndexOf('/')))}`,
    ...(text.endsWith('\n')
      ? hereDocument(['tee', path], text)
      : [`printf %s ${quote(text)} > ${quote(path)}`]),
    quoteAll(['chown', `${uid}:${gid}`, path]),
    quoteAll(['chmod', mode.toString(8), path]),
  ];
}

// Images made by hand, for what a layer can delete and replace of those below. Data: a new case needs no code.
import { BASE, file, folder, layer, link, whiteout, type TreeImage } from '../support/layer-words.ts';

export const DELETIONS: readonly TreeImage[] = [
  { name: 'a file deleted', layers: [BASE, layer(folder('etc'), whiteout('etc/.wh.group'))] },
  {
    name: 'a folder deleted',
    layers: [BASE, layer(folder('var', { mode: 0o750 }), whiteout('var/.wh.lib'))],
  },
  { name: 'a symlink deleted', layers: [BASE, layer(whiteout('.wh.lib'))] },
  {
    name: 'deletions of what is not there',
    layers: [BASE, layer(whiteout('.wh.nothing'), folder('etc'), whiteout('etc/.wh.nothing'))],
  },
  {
    name: 'deletions in a folder that no layer below has',
    layers: [BASE, layer(folder('new', { mode: 0o711, uid: 8 }), whiteout('new/.wh.gone'), file('new/here'))],
  },
  {
    name: 'deletions in the only layer',
    layers: [layer(folder('new'), whiteout('new/.wh.gone'), file('new/here'), whiteout('.wh.other'))],
  },
  {
    name: 'a deletion in folders that the layer does not list',
    layers: [BASE, layer(whiteout('var/lib/.wh.a'), whiteout('tmp/.wh.old'))],
  },
  {
    name: 'files in folders that the layer does not list',
    layers: [BASE, layer(file('var/lib/deep/new'), file('tmp/new'), file('quite/new/here'))],
  },
  {
    name: 'files in folders that two layers do not list',
    layers: [BASE, layer(file('var/lib/deep/new')), layer(file('var/lib/deep/newer'), file('var/lib/x'))],
  },
  {
    name: 'an opaque folder, marked before its files',
    layers: [BASE, layer(folder('var/lib'), whiteout('var/lib/.wh..wh..opq'), file('var/lib/only'))],
  },
  {
    name: 'an opaque folder, marked after its files',
    layers: [BASE, layer(folder('var/lib'), file('var/lib/only'), whiteout('var/lib/.wh..wh..opq'))],
  },
  {
    name: 'an opaque folder, marked before it is listed',
    layers: [
      BASE,
      layer(whiteout('etc/.wh..wh..opq'), file('etc/new'), folder('etc', { mode: 0o711, gid: 9 })),
    ],
  },
  {
    name: 'an opaque folder that the layer does not list',
    layers: [BASE, layer(whiteout('var/lib/.wh..wh..opq'))],
  },
  {
    name: 'an opaque folder in another, with deletions in both',
    layers: [
      BASE,
      layer(
        folder('var'),
        whiteout('var/.wh..wh..opq'),
        whiteout('var/.wh.lib'),
        folder('var/lib'),
        whiteout('var/lib/.wh..wh..opq'),
        whiteout('var/lib/.wh.a'),
        file('var/lib/b', 'new'),
      ),
    ],
  },
  {
    name: 'an opaque folder that nothing below has',
    layers: [BASE, layer(folder('new'), whiteout('new/.wh..wh..opq'), file('new/a')), layer(file('new/b'))],
  },
  {
    name: 'an opaque root',
    layers: [BASE, layer(whiteout('.wh..wh..opq'), folder('etc'), file('etc/new')), layer(file('tmp/x'))],
  },
  {
    name: 'a folder deleted and made again in one layer, deletion first',
    layers: [BASE, layer(whiteout('.wh.var'), folder('var'), file('var/new'))],
  },
  {
    name: 'a folder deleted and made again in one layer, deletion last',
    layers: [BASE, layer(folder('var'), file('var/new'), whiteout('.wh.var'))],
    differs: {
      podman: {
        reason: 'it deletes what the layer itself added before the whiteout, and then misses it',
        refusal: /chtimes .var: no such file/,
      },
    },
  },
  {
    name: 'files deleted and made again in one layer, in either order',
    layers: [
      BASE,
      layer(
        folder('etc'),
        whiteout('etc/.wh.passwd'),
        file('etc/passwd', 'new'),
        file('etc/group', 'new'),
        whiteout('etc/.wh.group'),
      ),
    ],
    differs: {
      podman: {
        reason:
          'it deletes what the layer itself added before the whiteout, against layer.md of the image spec',
        lines: { runspec: [/^etc\/group file/], peer: [] },
      },
    },
  },
  {
    name: 'a deletion in a folder that is deleted',
    layers: [BASE, layer(whiteout('.wh.var'), whiteout('var/lib/.wh.a'), whiteout('var/.wh..wh..opq'))],
    differs: {
      podman: {
        reason: 'it makes the folder of a whiteout anew before it looks what the whiteout says',
        lines: { runspec: [], peer: [/^var folder 755 0:0$/] },
      },
    },
  },
  {
    name: 'deleted, and there again a layer above',
    layers: [BASE, layer(whiteout('.wh.var')), layer(folder('var'), folder('var/lib'), file('var/lib/new'))],
  },
  {
    name: 'a folder, a file in its place, a folder again',
    layers: [BASE, layer(file('var')), layer(folder('var'), file('var/new'))],
  },
  {
    name: 'a folder, a symlink in its place, a folder again',
    layers: [
      BASE,
      layer(whiteout('.wh.var'), link('var', 'etc')),
      layer(whiteout('.wh.var'), folder('var'), file('var/new')),
    ],
  },
  {
    name: 'a file, a folder in its place, a file again',
    layers: [BASE, layer(folder('etc/passwd'), file('etc/passwd/in')), layer(file('etc/passwd', 'again'))],
  },
  {
    name: 'a symlink to a folder, a folder in its place',
    layers: [BASE, layer(whiteout('.wh.lib'), folder('lib'), file('lib/new'))],
  },
  {
    name: 'a folder listed again with other attributes',
    layers: [
      BASE,
      layer(folder('var/lib', { mode: 0o700, uid: 77 }), folder('tmp', { mode: 0o1777, gid: 1 })),
    ],
  },
];

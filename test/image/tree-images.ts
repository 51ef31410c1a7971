// Images made by hand, for what a layer can hold. Data: a new case needs no code.
import { entry, long, pax } from './write-tar.ts';
import {
  BASE,
  capability,
  file,
  folder,
  hard,
  layer,
  link,
  whiteout,
  xattr,
  type Difference,
  type Options,
  type TreeImage,
} from '../support/layer-words.ts';

const SETUID: Options = { mode: 0o4755, uid: 12, gid: 34, mtime: 1_000_000_000 };

const OVERLAY_OF_USERS: Difference = {
  reason: 'it sets user.overlay.* attributes of images, which an overlay mounted by a user would obey',
  lines: { runspec: [], peer: [/^usr has user\.overlay\.opaque/] },
};

const ONE_TREE: Difference = {
  reason: 'it changes one tree in place; in layers that are kept apart the inode below keeps its three names',
  lines: { runspec: [/^one .* links=3 /], peer: [/^one .* links=1 /] },
};

export const CONTENTS: readonly TreeImage[] = [
  {
    name: 'every type, mode, owner and time',
    layers: [
      layer(
        folder('.', { mode: 0o755 }),
        folder('bin'),
        file('bin/su', 'su', SETUID),
        file('bin/wall', 'wall', { mode: 0o2755, gid: 5 }),
        hard('bin/sudo', 'bin/su', SETUID),
        hard('bin/doas', 'bin/sudo', SETUID),
        link('bin/absolute', '/bin/su'),
        link('bin/up', '../..'),
        link('bin/dangling', 'no/such/thing'),
        hard('bin/second-name-of-a-symlink', 'bin/dangling'),
        folder('sticky', { mode: 0o1777 }),
        folder('locked', { mode: 0, uid: 1000, gid: 1000 }),
        file('locked/inside', 'x', { mode: 0 }),
        entry({ name: 'fifo', type: '6', mode: 0o622, mtime: 5 }),
        entry({ name: 'null', type: '3', mode: 0o666, device: [1, 3] }),
        entry({ name: 'disk', type: '4', mode: 0o660, gid: 6, device: [8, 17] }),
        file('empty', ''),
        file('large', 'x'.repeat(100_000)),
        file('high-owner', 'x', { uid: 65_534, gid: 100_000 }),
      ),
    ],
  },
  {
    name: 'names',
    layers: [
      layer(
        file('with space and\nline\ttab'),
        file('gr\u00c3\u00bc\u00c3\u009f'),
        folder('\u00ff\u00fe not UTF-8'),
        file('\u00ff\u00fe not UTF-8/\u0080'),
        pax({ path: `${'p'.repeat(200)}/${'q'.repeat(255)}` }),
        file('short'),
        long('L', `${`${'l'.repeat(246)}/`.repeat(16)}gnu`),
        file('short'),
        file('n'.repeat(100)),
        file('-rf'),
        file('.hidden'),
        file('..dots'),
        file('*'),
        entry({ name: 'tail', prefix: 'pre/fix', data: 'ustar' }),
        file('.whiteout-no'),
        file('a.wh.b'),
      ),
    ],
  },
  {
    name: 'file capabilities and attributes of users',
    layers: [
      layer(
        xattr('security.capability', capability),
        file('ping', 'ping', { mode: 0o755, uid: 7 }),
        xattr('user.note', 'kept'),
        file('noted'),
        xattr('user.on', 'folder'),
        folder('folder'),
      ),
      layer(xattr('user.note', 'changed'), file('noted'), file('ping', 'without')),
    ],
  },
  {
    name: 'attributes that an overlay would obey',
    layers: [
      BASE,
      layer(
        xattr('trusted.overlay.opaque', 'y'),
        folder('etc'),
        folder('tmp', { mode: 0o1777 }),
        xattr('user.overlay.opaque', 'y'),
        folder('usr'),
      ),
    ],
    differs: {
      umoci: OVERLAY_OF_USERS,
      podman: {
        reason: 'it sets every attribute that overlayfs would obey',
        lines: { runspec: [], peer: [/^usr has user\.overlay\.opaque/, /^etc has trusted\.overlay\.opaque/] },
      },
    },
  },
  {
    name: 'one entry twice: the last counts',
    layers: [
      layer(
        file('a', 'first', { mode: 0o600, uid: 1 }),
        file('a', 'second', { mode: 0o640, uid: 2 }),
        folder('d', { mode: 0o700 }),
        folder('d', { mode: 0o711 }),
        link('l', 'first'),
        link('l', 'second'),
        file('f'),
        link('f', 'was/a/file'),
      ),
    ],
    differs: {
      podman: { reason: 'it refuses archives that name a file twice', refusal: /duplicates of file paths/ },
    },
  },
  {
    name: 'hard links across layers',
    layers: [
      layer(file('one', 'linked'), hard('two', 'one'), hard('three', 'one')),
      layer(file('two', 'alone')),
      layer(whiteout('.wh.three')),
    ],
    differs: { umoci: ONE_TREE, podman: ONE_TREE },
  },
  { name: 'the same layer twice', layers: [BASE, layer(whiteout('.wh.etc'), file('tmp/x')), BASE] },
  { name: 'an empty layer', layers: [BASE, layer(), layer(folder('etc', { mode: 0o700 }))] },
  {
    name: 'notes of AUFS',
    layers: [BASE, layer(whiteout('.wh..wh.aufs'), folder('.wh..wh.plnk', { mode: 0o700 }), file('new'))],
  },
  {
    name: 'plain, gzip and zstd',
    layers: [
      { ...BASE, compression: 'none' },
      { ...layer(whiteout('.wh.tmp')), compression: 'gzip' },
      { ...layer(file('zstd')), compression: 'zstd' },
    ],
    differs: { umoci: { reason: 'umoci 0.4.7 does not know zstd', refusal: /not correct mediatype/ } },
  },
  {
    name: 'twenty layers',
    layers: [
      BASE,
      ...Array.from({ length: 19 }, (_, index) =>
        layer(folder('steps'), file(`steps/${index}`), whiteout(`steps/.wh.${index - 2}`)),
      ),
    ],
  },
];

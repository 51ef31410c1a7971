import { describe, expect, it } from 'vitest';
import { ARCHIVE_LIMITS } from '../../src/host/archive-limits.ts';
import { createLayerInspector } from '../../src/image/inspect-tar.ts';
import { NameLog } from '../../src/image/name-log.ts';
import { TarReader } from '../../src/image/read-tar.ts';
import { archive, entry, pax } from './write-tar.ts';

const folder = (name: string): Buffer => entry({ name: `${name}/`, type: '5' });
const MARK = 'user.was-marked-opaque';
const link = (name: string): Buffer => entry({ name, type: '2', link: '/' });

/** What GNU tar gets to see of an archive, one line an entry, in pieces of `size` bytes. */
function passOn(bytes: Buffer, size = bytes.length): readonly string[] {
  const inspector = createLayerInspector(ARCHIVE_LIMITS);
  const passed: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size)
    passed.push(...inspector.write(bytes.subarray(at, at + size), bytes.length));
  passed.push(...inspector.end());
  const seen: string[] = [];
  const reader = new TarReader(({ name, type, pax: records }) => {
    const marks = [...records.keys()].filter((key) => key.startsWith('SCHILY'));
    seen.push([type, name, ...marks.map((key) => key.slice(13))].join(' '));
    return 'keep';
  });
  // The reader takes the mark out, as of any archive: another name of the same length gets through.
  const text = Buffer.concat(passed).toString('latin1').replaceAll('trusted.overlay.opaque', MARK);
  reader.write(Buffer.from(text, 'latin1'));
  reader.end();
  return seen;
}

/** Whiteouts are what overlayfs takes for them: character devices, and a mark on folders. */
const CASES: readonly (readonly [string, readonly Buffer[], readonly string[]])[] = [
  ['no whiteouts', [folder('a'), entry({ name: 'a/b' })], ['5 a/', '0 a/b']],
  ['a file', [folder('a'), entry({ name: 'a/.wh.b' })], ['5 a/', '3 a/b']],
  ['in a folder it does not list', [entry({ name: 'a/.wh.b' })], ['5 a/', '3 a/b']],
  ['spelt otherwise', [entry({ name: './a//.wh.b' })], ['5 a/', '3 a/b']],
  ['with data', [entry({ name: '.wh.b', data: 'x'.repeat(700) }), entry({ name: 'c' })], ['0 c', '3 b']],
  ['as a folder', [folder('.wh.b')], ['3 b']],
  ['of what it adds', [entry({ name: 'b' }), entry({ name: '.wh.b' })], ['0 b']],
  ['of a folder it adds', [folder('b'), entry({ name: '.wh.b' })], ['5 b/', `5 b/ ${MARK}`]],
  ['opaque', [entry({ name: 'a/.wh..wh..opq' })], [`5 a/ ${MARK}`]],
  ['opaque, of a symlink that comes later', [entry({ name: 'a/.wh..wh..opq' }), link('a')], ['2 a']],
  ['below a symlink that comes later', [entry({ name: 'a/.wh.b' }), link('a')], ['2 a']],
  ['an opaque root', [entry({ name: '.wh..wh..opq' }), entry({ name: '.wh.b' }), folder('a')], ['5 a/']],
  ['of AUFS', [entry({ name: '.wh..wh.plnk' }), entry({ name: '.wh..wh.aufs' })], []],
];

describe('whiteouts of an archive', () => {
  it.each(CASES)('become those of overlayfs: %s', (_, parts, wanted) => {
    const bytes = archive(...parts);
    expect(passOn(bytes)).toEqual(wanted);
    for (const size of [1, 511, 513]) expect(passOn(bytes, size)).toEqual(wanted);
  });

  it('are told by nobody else: attributes that an overlay obeys are left out', () => {
    const forbidden = {
      'SCHILY.xattr.trusted.overlay.opaque': 'y',
      'SCHILY.xattr.user.overlay.opaque': 'y',
      'SCHILY.xattr.security.selinux': 'x',
    };
    const bytes = archive(
      pax({ comment: 'for all', ...forbidden }, 'g'),
      pax({ ...forbidden, 'SCHILY.xattr.user.note': 'kept', 'SCHILY.xattr.security.capability': 'kept' }),
      folder('a'),
      pax(forbidden),
      folder('b'),
    );
    expect(passOn(bytes)).toEqual(['5 a/ user.note security.capability', '5 b/']);
  });

  it('say what a layer cannot: folders it only uses, and those that hold whiteouts', () => {
    const inspector = createLayerInspector(ARCHIVE_LIMITS);
    const names = ['a/b/file', 'c/.wh.x', 'd/.wh..wh..opq', '\xff/.wh.x'];
    const bytes = archive(...names.map((name) => entry({ name })));
    inspector.write(bytes, bytes.length);
    inspector.end();
    expect(inspector.summary().folders).toEqual({
      implied: ['a', 'a/b', 'c', 'd'],
      whiteouts: ['c'],
      opaque: ['d'],
      opaqueRoot: false,
    });
  });
});

describe('a log of names', () => {
  it('finds what was added, among as many as fill several blocks', () => {
    const log = new NameLog();
    const names = Array.from({ length: 30_000 }, (_, index) => `folder-${index % 7}/file-${index}`);
    for (const name of [...names, 'top', `long/${'\xff'.repeat(255)}`]) log.add(name);
    const asked = ['top', 'folder', 'folder-3/file-3', 'folder-4/file-3', 'folder-2/file-29997', 'no/such'];
    expect([...log.find([...asked, `long/${'\xff'.repeat(255)}`])].toSorted()).toEqual(
      ['folder-2/file-29997', 'folder-3/file-3', `long/${'\xff'.repeat(255)}`, 'top'].toSorted(),
    );
  });

  it('are never devices of the archive: 0/0 is refused even where devices are taken', () => {
    expect(() => passOn(archive(entry({ name: 'a', type: '3' })))).toThrow(/character device 0\/0/);
  });
});

// Archives whose names or links lead out of the folder they are unpacked in. `outside` stands for a folder
// beside it, where nothing may ever appear. Data: a new case needs no code.
import { archive, entry, long, pax } from './write-tar.ts';

export interface HostileArchive {
  readonly name: string;
  readonly bytes: (outside: string) => Buffer;
  readonly refusal: RegExp;
}

const file = (name: string): Buffer => entry({ name, data: 'planted' });
const link = (name: string, target: string): Buffer => entry({ name, type: '2', link: target });
const hard = (name: string, target: string): Buffer => entry({ name, type: '1', link: target });
const folder = (name: string): Buffer => entry({ name, type: '5', mode: 0o755 });

export const HOSTILE_NAMES: readonly HostileArchive[] = [
  // Names
  { name: 'absolute name', bytes: (out) => archive(file(`${out}/planted`)), refusal: /is absolute/ },
  { name: 'absolute folder', bytes: (out) => archive(folder(`${out}/planted/`)), refusal: /is absolute/ },
  { name: 'double slash', bytes: (out) => archive(file(`/${out}/planted`)), refusal: /is absolute/ },
  { name: 'parent', bytes: () => archive(file('../planted')), refusal: /leads out of its folder with \.\./ },
  {
    name: 'parent in the middle',
    bytes: () => archive(folder('a/'), file('a/../../planted')),
    refusal: /\.\./,
  },
  { name: 'parent at the end', bytes: () => archive(folder('a/..')), refusal: /\.\./ },
  { name: 'parent that comes back', bytes: () => archive(folder('a/'), file('a/../b')), refusal: /\.\./ },
  { name: 'parent behind a dot', bytes: () => archive(file('./../planted')), refusal: /\.\./ },
  {
    name: 'parent in the ustar prefix',
    bytes: () => archive(entry({ name: 'planted', prefix: '..' })),
    refusal: /\.\./,
  },
  {
    name: 'absolute ustar prefix',
    bytes: (out) => archive(entry({ name: 'planted', prefix: out })),
    refusal: /absolute/,
  },
  {
    name: 'parent in a GNU long name',
    bytes: () => archive(long('L', '../planted'), file('a')),
    refusal: /\.\./,
  },
  {
    name: 'absolute pax path',
    bytes: (out) => archive(pax({ path: `${out}/planted` }), file('a')),
    refusal: /absolute/,
  },
  {
    name: 'parent in a pax path',
    bytes: () => archive(pax({ path: '../planted' }), file('a')),
    refusal: /\.\./,
  },
  {
    name: 'pax path for all entries',
    bytes: () => archive(pax({ path: '../planted' }, 'g'), file('a')),
    refusal: /global header sets path/,
  },
  {
    name: 'name hidden in sparse records',
    bytes: () =>
      archive(
        pax({
          path: 'a',
          'GNU.sparse.major': '1',
          'GNU.sparse.minor': '0',
          'GNU.sparse.name': '../planted',
          'GNU.sparse.realsize': '1',
        }),
        file('a'),
      ),
    refusal: /\.\./,
  },
  {
    name: 'two names',
    bytes: () => archive(long('L', 'a'), pax({ path: 'b' }), file('c')),
    refusal: /two names/,
  },
  {
    name: 'two pax headers',
    bytes: () => archive(pax({ path: 'a' }), pax({ path: 'b' }), file('c')),
    refusal: /two names/,
  },
  { name: 'long name of nothing', bytes: () => archive(long('L', 'a')), refusal: /belongs to no entry/ },
  {
    name: 'NUL in a pax path',
    bytes: () => archive(pax({ path: 'a\0b' }), file('c')),
    refusal: /no valid name/,
  },
  { name: 'empty name', bytes: () => archive(file('')), refusal: /no valid name/ },
  {
    name: 'name over 255 bytes',
    bytes: () => archive(long('L', 'n'.repeat(256)), file('a')),
    refusal: /longer than 255/,
  },
  {
    name: 'path over 4095 bytes',
    bytes: () => archive(long('L', 'dir/'.repeat(1024)), file('a')),
    refusal: /longer than 4095/,
  },
  {
    name: 'root as a symlink',
    bytes: (out) => archive(link('./', out), file('planted')),
    refusal: /stands for the root/,
  },
  { name: 'root as a file', bytes: () => archive(file('.')), refusal: /stands for the root/ },
  // Links
  {
    name: 'write through an absolute symlink',
    bytes: (out) => archive(link('esc', out), file('esc/planted')),
    refusal: /through the symlink esc/,
  },
  {
    name: 'write through a relative symlink',
    bytes: () => archive(link('esc', '..'), file('esc/planted')),
    refusal: /through the symlink/,
  },
  {
    name: 'write through a symlink spelt otherwise',
    bytes: (out) => archive(link('./esc', out), file('esc//planted')),
    refusal: /through the symlink/,
  },
  {
    name: 'symlink, folder of its name, then a file',
    bytes: (out) => archive(link('esc', out), folder('esc/'), file('esc/planted')),
    refusal: /through the symlink/,
  },
  {
    name: 'write through a symlink below',
    bytes: (out) => archive(folder('a/'), link('a/esc', out), file('a/esc/planted')),
    refusal: /through the symlink/,
  },
  {
    name: 'write through a chain of symlinks',
    bytes: () => archive(link('a', '..'), link('b', 'a'), file('b/planted')),
    refusal: /through the symlink/,
  },
  {
    name: 'write through a pax symlink',
    bytes: (out) => archive(pax({ linkpath: out }), link('esc', 'x'), file('esc/planted')),
    refusal: /through the symlink/,
  },
  {
    name: 'write through a second name of a symlink',
    bytes: (out) => archive(link('esc', out), hard('two', 'esc'), file('two/planted')),
    refusal: /through the symlink two/,
  },
  { name: 'symlink without target', bytes: () => archive(link('esc', '')), refusal: /no valid target/ },
  {
    name: 'hard link to an absolute path',
    bytes: () => archive(hard('passwd', '/etc/passwd')),
    refusal: /is absolute/,
  },
  { name: 'hard link to a parent', bytes: () => archive(hard('out', '../sentinel')), refusal: /\.\./ },
  {
    name: 'hard link through a symlink',
    bytes: (out) => archive(link('esc', out), hard('got', 'esc/sentinel')),
    refusal: /through the symlink/,
  },
  {
    name: 'hard link to nothing',
    bytes: () => archive(hard('a', 'missing')),
    refusal: /[Cc]annot hard link/,
  },
  {
    name: 'hard link to itself',
    bytes: () => archive(file('a'), hard('a', './a')),
    refusal: /no valid target/,
  },
  {
    name: 'hard link with data',
    bytes: () => archive(file('a'), entry({ name: 'b', type: '1', link: 'a', data: 'x' })),
    refusal: /has data/,
  },
  {
    name: 'GNU long link to a parent',
    bytes: () => archive(long('K', '../sentinel'), hard('a', 'b')),
    refusal: /\.\./,
  },
];

// Archives that must be refused, as data: a new case needs no code. `outside` stands for a folder beside the
// one that is unpacked into, where nothing may ever appear.
import { gzipSync } from 'node:zlib';
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
const gnu = 'ustar  \0';
const big = (bytes: bigint): string =>
  `\x80${Buffer.from(bytes.toString(16).padStart(22, '0'), 'hex').toString('latin1')}`;

export const HOSTILE_ARCHIVES: readonly HostileArchive[] = [
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
  // Types
  {
    name: 'block device',
    bytes: () => archive(entry({ name: 'dev/sda', type: '4' })),
    refusal: /block device/,
  },
  {
    name: 'character device',
    bytes: () => archive(entry({ name: 'dev/mem', type: '3' })),
    refusal: /character device/,
  },
  {
    name: 'whiteout',
    bytes: () => archive(entry({ name: 'etc', type: '3', patch: { 329: '0000000', 337: '0000000' } })),
    refusal: /character device/,
  },
  {
    name: 'incremental dump',
    bytes: () => archive(entry({ name: 'd', type: 'D', data: 'Ya\0\0', magic: gnu })),
    refusal: /incremental dump/,
  },
  {
    name: 'other volume',
    bytes: () => archive(entry({ name: 'd', type: 'M', magic: gnu })),
    refusal: /another volume/,
  },
  { name: 'unknown type', bytes: () => archive(entry({ name: 'd', type: 'Z' })), refusal: /unknown type Z/ },
  {
    name: 'folder with data',
    bytes: () => archive(entry({ name: 'd/', type: '5', data: 'x' })),
    refusal: /has data/,
  },
  // Damage
  { name: 'empty file', bytes: () => Buffer.alloc(0), refusal: /it is empty/ },
  {
    name: 'no archive at all',
    bytes: () => Buffer.from('#!/bin/sh\necho hello\n'.repeat(100)),
    refusal: /checksum|not a number/,
  },
  {
    name: 'HTML instead of an archive',
    bytes: () => Buffer.from(`<!doctype html>${'<p>404 Not Found</p>'.repeat(60)}`),
    refusal: /checksum|not a number/,
  },
  {
    name: 'wrong checksum',
    bytes: () => archive(entry({ name: 'a', checksum: 1 })),
    refusal: /wrong checksum/,
  },
  {
    name: 'wrong checksum of the second entry',
    bytes: () => archive(file('a'), entry({ name: 'b', checksum: 1 })),
    refusal: /wrong checksum/,
  },
  {
    name: 'cut in a header',
    bytes: () => archive(file('a')).subarray(0, 300),
    refusal: /ends in the middle/,
  },
  { name: 'cut in data', bytes: () => archive(file('a')).subarray(0, 600), refusal: /ends in the middle/ },
  { name: 'cut between entries', bytes: () => file('a'), refusal: /ends in the middle, after 1 entries/ },
  {
    name: 'something behind the end',
    bytes: () => Buffer.concat([archive(file('a')), file('b')]),
    refusal: /behind its end/,
  },
  {
    name: 'bytes behind the end',
    bytes: () => Buffer.concat([archive(file('a')), Buffer.from('x')]),
    refusal: /behind its end/,
  },
  {
    name: 'a second archive behind the first',
    bytes: (out) => Buffer.concat([archive(link('esc', out)), archive(file('esc/planted'))]),
    refusal: /behind its end/,
  },
  {
    name: 'cut gzip',
    bytes: () => gzipSync(archive(file('a'))).subarray(0, -9),
    refusal: /unexpected end of file/,
  },
  {
    name: 'damaged gzip',
    bytes: () => Buffer.concat([gzipSync(archive(file('a'))).subarray(0, 20), Buffer.alloc(40, 0xff)]),
    refusal: /cannot unpack: /,
  },
  {
    name: 'wrong gzip checksum',
    bytes: () => {
      const packed = gzipSync(archive(file('a')));
      packed.writeUInt32LE(1, packed.length - 8);
      return packed;
    },
    refusal: /incorrect data check/,
  },
  {
    name: 'rubbish behind gzip',
    bytes: () => Buffer.concat([gzipSync(archive(file('a'))), Buffer.from('rubbish')]),
    refusal: /incorrect header check/,
  },
  {
    name: 'malformed pax record',
    bytes: () => archive(entry({ name: 'p', type: 'x', data: '999 path=a\n' }), file('a')),
    refusal: /pax header is malformed/,
  },
  {
    name: 'pax size that is none',
    bytes: () => archive(pax({ size: '-1' }), file('a')),
    refusal: /not a size/,
  },
  {
    name: 'size in letters',
    bytes: () => archive(entry({ name: 'a', patch: { 124: 'abcdefghijk' } })),
    refusal: /size is not a number/,
  },
  {
    name: 'negative base-256 size',
    bytes: () => archive(entry({ name: 'a', patch: { 124: '\xff'.repeat(12) } })),
    refusal: /size is not a number/,
  },
  // Bombs
  {
    name: 'size of 8 exabytes',
    bytes: () => archive(entry({ name: 'a', patch: { 124: big(2n ** 52n) } })),
    refusal: /over the limit/,
  },
  {
    name: 'pax size of a tebibyte',
    bytes: () => archive(pax({ size: String(2 ** 40) }), file('a')),
    refusal: /over the limit/,
  },
  {
    name: 'old GNU sparse file of a tebibyte',
    bytes: () =>
      archive(
        entry({
          name: 'a',
          type: 'S',
          magic: gnu,
          patch: { 386: '00000000000\x0000000000000\0', 483: big(2n ** 40n) },
        }),
      ),
    refusal: /over the limit/,
  },
  {
    name: 'pax sparse file of a tebibyte',
    bytes: () =>
      archive(
        pax({
          'GNU.sparse.major': '1',
          'GNU.sparse.minor': '0',
          'GNU.sparse.name': 'a',
          'GNU.sparse.realsize': String(2 ** 40),
        }),
        entry({ name: 'a', data: '0\n' }),
      ),
    refusal: /over the limit/,
  },
  {
    name: 'gzip bomb',
    bytes: () => gzipSync(archive(entry({ name: 'a', data: Buffer.alloc(160 * 2 ** 20) }))),
    refusal: /more than 250 times its size/,
  },
  {
    name: 'endless name',
    bytes: () => archive(entry({ name: 'l', type: 'L', size: 2 ** 30 })),
    refusal: /over the limit/,
  },
];

// Archives that hold what no layer may, are damaged, or are bombs. Data: a new case needs no code.
import { gzipSync } from 'node:zlib';
import type { HostileArchive } from './hostile-names.ts';
import { archive, entry, pax } from './write-tar.ts';

const file = (name: string): Buffer => entry({ name, data: 'planted' });
const link = (name: string, target: string): Buffer => entry({ name, type: '2', link: target });
const gnu = 'ustar  \0';
const big = (bytes: bigint): string =>
  `\x80${Buffer.from(bytes.toString(16).padStart(22, '0'), 'hex').toString('latin1')}`;

export const HOSTILE_CONTENTS: readonly HostileArchive[] = [
  // Types
  {
    name: 'character device 0/0, which an overlay takes for a whiteout',
    bytes: () => archive(entry({ name: 'etc', type: '3', patch: { 329: '0000000', 337: '0000000' } })),
    refusal: /is a character device/,
  },
  {
    name: 'character device without numbers',
    bytes: () => archive(entry({ name: 'etc', type: '3' })),
    refusal: /is a character device/,
  },
  {
    name: 'whiteout without a name',
    bytes: () => archive(file('a/.wh.')),
    refusal: /a\/\.wh\. is a whiteout of nothing/,
  },
  {
    name: 'whiteout of its own folder',
    bytes: () => archive(file('a/.wh..')),
    refusal: /whiteout of nothing/,
  },
  {
    name: 'whiteout of the folder above',
    bytes: () => archive(file('a/.wh...')),
    refusal: /whiteout of nothing/,
  },
  {
    name: 'whiteout through a symlink',
    bytes: (out) => archive(link('esc', out), file('esc/.wh.sentinel')),
    refusal: /through the symlink esc/,
  },
  { name: 'whiteout outside', bytes: () => archive(file('../outside/.wh.sentinel')), refusal: /\.\./ },
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
    name: 'something far behind the end, where tar no longer reads',
    bytes: () => Buffer.concat([archive(file('a')), Buffer.alloc(2 ** 23), file('b')]),
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
    name: 'sparse file whose map does not end',
    bytes: () => {
      const more = Buffer.alloc(512);
      more[504] = 1;
      const map = Buffer.alloc(17 * 2 ** 20, more);
      return gzipSync(archive(entry({ name: 'a', type: 'S', magic: gnu, patch: { 482: '\x01' } }), map));
    },
    refusal: /map of a sparse file is over the limit of 16777216 bytes/,
  },
  {
    name: 'endless name',
    bytes: () => archive(entry({ name: 'l', type: 'L', size: 2 ** 30 })),
    refusal: /over the limit/,
  },
];

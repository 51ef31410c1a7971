import { expect, test } from 'vitest';
import { decode } from '../../src/load/decode.ts';

const bytes = (...parts: readonly (string | number)[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))));

test.each(['', 'a', 'name: café', '\uFEFFname: a', 'a: \uFFFD', 'a: \u{1F600}', 'a: "\0"'])(
  '%j is text',
  (text) => {
    expect(decode(bytes(text))).toEqual({ text });
  },
);

test.each([
  ['a byte of another encoding', bytes('env: caf', 0xe9, '\n'), 'e9', 8],
  ['one after a character that stands for such', bytes('a\uFFFDb\u{1F600}', 0xff), 'ff', 5],
  ['a character that is cut off', bytes('ab', 0xe2, 0x82), 'e2', 2],
  ['half of a surrogate pair', bytes('ab', 0xed, 0xa0, 0x80), 'ed', 2],
  ['a longer spelling than needed', bytes('ab', 0xc0, 0xaf), 'c0', 2],
  ['the beginning of U+FFFD', bytes('ab', 0xef, 0xbf, 'c'), 'ef', 2],
])('%s is not', (_, given, byte, offset) => {
  expect(decode(given).fault).toEqual({ message: `the byte ${byte} is not UTF-8`, offset });
});

test.each([
  ['little endian', Buffer.from('\uFEFFname: a', 'utf16le')],
  ['big endian', Buffer.from('\uFEFFname: a', 'utf16le').swap16()],
  ['little endian without a mark', Buffer.from('name: a', 'utf16le')],
  ['big endian without a mark', Buffer.from('name: a', 'utf16le').swap16()],
])('UTF-16 is called so: %s', (_, given) => {
  expect(decode(given)).toEqual({ text: '', fault: { message: 'the file is UTF-16, not UTF-8', offset: 0 } });
});

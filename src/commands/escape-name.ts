// A path on one line of text, whatever bytes it has: as it is when that is printable UTF-8, else with escapes
// that tell it from every other path.
import type { ByteString } from '../host/packing.ts';

const SHORT: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r' };

export function escapeName(name: ByteString): string {
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text).equals(bytes);
  return isText
    ? text.replaceAll(/[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => SHORT[character] ?? hex(character))
    : name.replaceAll(/[^ -[\]-~]/g, (character) => SHORT[character] ?? byte(character.charCodeAt(0)));
}

function hex(character: string): string {
  return [...Buffer.from(character)].map(byte).join('');
}

function byte(value: number): string {
  return `\\x${value.toString(16).padStart(2, '0')}`;
}

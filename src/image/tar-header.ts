// Reads tar headers (V7, ustar, GNU, pax) as GNU tar does, but refuses what GNU tar forgives. Pure: bytes in,
// values out. Names are byte strings (latin1), because that is how the kernel and GNU tar compare them.
import { OperationError } from '../errors.ts';

export const BLOCK = 512;

export interface TarHeader {
  readonly name: string;
  readonly link: string;
  readonly type: string;
  /** Bytes of data that follow in the archive. */
  readonly size: number;
  /** Old GNU sparse files: their size once unpacked, and whether map blocks follow the header. */
  readonly sparse?: { readonly size: number; readonly extended: boolean };
}

export function refuse(reason: string, hint?: string): OperationError {
  return new OperationError(`archive refused: ${reason}`, {
    hint: hint ?? 'use an archive from a source you trust, or make it again with GNU tar',
  });
}

/** @throws OperationError when the checksum or a number is wrong. */
export function readHeader(block: Buffer): TarHeader {
  checkSum(block);
  const magic = block.toString('latin1', 257, 265);
  const prefix = magic.startsWith('ustar\0') ? text(block, 345, 155) : '';
  const base = text(block, 0, 100);
  const type = block.toString('latin1', 156, 157);
  const header = {
    name: prefix === '' ? base : `${prefix}/${base}`,
    link: text(block, 157, 100),
    type: type === '\0' || type === '7' ? '0' : type,
    size: number(block, 124, 12, 'size'),
  };
  if (type !== 'S') return header;
  return { ...header, sparse: { size: number(block, 483, 12, 'real size'), extended: block[482] === 1 } };
}

/** Mode, owner and time of an entry as numbers. */
export function readAttributes(block: Buffer): {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
} {
  return {
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    mtime: number(block, 136, 12, 'time'),
  };
}

export function readDevice(block: Buffer): { readonly major: number; readonly minor: number } {
  return { major: number(block, 329, 8, 'device'), minor: number(block, 337, 8, 'device') };
}

/** A decimal number of a pax record. */
export function paxNumber(records: ReadonlyMap<string, string>, key: string): number | undefined {
  const value = records.get(key);
  if (value === undefined) return undefined;
  const parsed = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(parsed)) throw refuse(`pax record ${key} is not a size: ${printable(value)}`);
  return parsed;
}

/** A byte string as a person may see it: decoded, control characters escaped, shortened. */
export function printable(name: string): string {
  const decoded = Buffer.from(name, 'latin1').toString('utf8');
  const safe = decoded.replaceAll(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return safe.length > 120 ? `${safe.slice(0, 117)}...` : safe;
}

export function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function checkSum(block: Buffer): void {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK; at++) {
    // The checksum is counted with its own field as spaces.
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stored = number(block, 148, 8, 'checksum');
  if (stored !== unsigned && stored !== signed) {
    throw refuse(
      'a header has a wrong checksum',
      'the archive is damaged or not a tar archive; fetch it again',
    );
  }
}

function text(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('latin1', offset, end === -1 || end > offset + length ? offset + length : end);
}

/**
 * Number of a field: octal with blanks around it, or base 256 when the first bit is set; only times before 1970 are
 * negative.
 */
function number(block: Buffer, offset: number, length: number, what: string): number {
  let value: number;
  if (block[offset] === 0x80) {
    value = block.subarray(offset + 1, offset + length).reduce((sum, byte) => sum * 256 + byte, 0);
  } else if (block[offset] === 0xff && what === 'time') {
    value = Number(BigInt.asIntN(64, block.readBigUInt64BE(offset + length - 8)));
  } else {
    const digits = text(block, offset, length).trim();
    value = /^[0-7]*$/.test(digits) ? Number.parseInt(digits === '' ? '0' : digits, 8) : Number.NaN;
  }
  if (!Number.isSafeInteger(value)) {
    throw refuse(
      `a header's ${what} is not a number`,
      'the archive is damaged or not a tar archive; fetch it again',
    );
  }
  return value;
}

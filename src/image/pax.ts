// Writes tar headers: pax records cut down to what a layer may carry, and the entries that runspec itself adds
// to a layer. Pure; names and values are byte strings (latin1).
import { BLOCK, refuse } from './tar-header.ts';

const XATTR = 'SCHILY.xattr.';

/**
 * Whether an archive may have an extended attribute. An overlay obeys trusted.overlay.* of its layers (and
 * user.overlay.* when mounted by users): these say what is deleted, and only runspec sets them.
 */
export function mayCarryAttribute(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}

/** Record of a pax header, and where the next begins. @throws OperationError when it is malformed. */
export function readRecord(data: Buffer, at: number): { key: string; value: string; end: number } {
  const space = data.indexOf(0x20, at);
  const digits = space === -1 ? '' : data.toString('latin1', at, space);
  const length = /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : 0;
  const end = at + length;
  const equals = data.indexOf(0x3d, space);
  if (length === 0 || end > data.length || data[end - 1] !== 0x0a || equals === -1 || equals >= end) {
    throw refuse('a pax header is malformed');
  }
  const key = data.toString('latin1', space + 1, equals);
  return { key, value: data.toString('latin1', equals + 1, end - 1), end };
}

/** The records of a pax extended header. */
export function readPax(data: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length;) {
    const { key, value, end } = readRecord(data, at);
    records.set(key, value);
    at = end;
  }
  return records;
}

/** Pax records without those that no archive may set. */
export function filterPax(data: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < data.length;) {
    const { key, end } = readRecord(data, at);
    if (!key.startsWith(XATTR) || mayCarryAttribute(key.slice(XATTR.length)))
      kept.push(data.subarray(at, end));
    at = end;
  }
  return kept.length === 0 ? Buffer.alloc(0) : Buffer.concat(kept);
}

/** Header of type `x` or `g` with new records in place of its own; nothing when there are none. */
export function paxBlocks(header: Buffer, records: Buffer): readonly Buffer[] {
  if (records.length === 0) return [];
  const changed = Buffer.from(header);
  changed.write(`${records.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  return [withChecksum(changed), records, padding(records.length)];
}

export interface Attributes {
  readonly mode: number;
  /** Numbers as pax spells them: `0`, `1700000000.25`. */
  readonly uid: string;
  readonly gid: string;
  readonly mtime: string;
  /** Extended attributes by name, as in `user.note`. */
  readonly xattrs: ReadonlyMap<string, string>;
}

/** Extended attributes among pax records. */
export function xattrsOf(pax: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const found = [...pax].filter(([key]) => key.startsWith(XATTR));
  return new Map(found.map(([key, value]) => [key.slice(XATTR.length), value]));
}

/** Entry of a folder, listed again with other attributes or for the first time. */
export function writeFolder(path: string, { mode, uid, gid, mtime, xattrs }: Attributes): Buffer {
  const records = new Map([
    ['path', `${path === '' ? '.' : path}/`],
    ['uid', uid],
    ['gid', gid],
    ['mtime', mtime],
    ...[...xattrs].map(([name, value]) => [XATTR + name, value] as const),
  ]);
  return writeEntry('5', mode, records);
}

/** Entry of a character device 0/0, which overlayfs takes for `deleted`. */
export function writeWhiteout(path: string): Buffer {
  return writeEntry('3', 0, new Map([['path', path]]));
}

function writeEntry(type: string, mode: number, records: ReadonlyMap<string, string>): Buffer {
  const text = Buffer.from([...records].map(([key, value]) => writeRecord(key, value)).join(''), 'latin1');
  const extended = writeHeader('x', 0o644);
  return Buffer.concat([...paxBlocks(extended, text), writeHeader(type, mode)]);
}

export function writeRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

function writeHeader(type: string, mode: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write('runspec', 0, 'latin1');
  header.write(mode.toString(8).padStart(7, '0'), 100, 'latin1');
  for (const [offset, width] of [
    [108, 7],
    [116, 7],
    [124, 11],
    [136, 11],
    [329, 7],
    [337, 7],
  ] as const) {
    header.write('0'.repeat(width), offset, 'latin1');
  }
  header.write(type, 156, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  return withChecksum(header);
}

export function withChecksum(header: Buffer): Buffer {
  // The checksum is counted with its own field as spaces.
  header.write('        ', 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

export function padding(length: number): Buffer {
  return Buffer.alloc((BLOCK - (length % BLOCK)) % BLOCK);
}

// Writes tar entries in one way only: the same entry gives the same bytes, wherever and by whatever it was read.
// ustar headers, and pax records in their order for what those cannot hold. Pure; names are byte strings.
import { padding, withChecksum, writeRecord } from './pax.ts';
import type { PackedEntry } from './read-packed.ts';
import { BLOCK } from './tar-header.ts';

/** The largest numbers of a header's octal fields of 7 and 11 digits. */
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;
const MAX_NAME = 100;

/** Header blocks of an entry; its data, padded to whole blocks, follows. */
export function writeTarHeader(entry: PackedEntry): Buffer {
  const records = recordsOf(entry);
  const text = Buffer.from(records.map(([key, value]) => writeRecord(key, value)).join(''), 'latin1');
  const pax =
    text.length === 0
      ? []
      : [
          writeBlock({ ...EMPTY, name: './PaxHeaders', type: 'x', mode: 0o644, size: text.length }),
          text,
          padding(text.length),
        ];
  return Buffer.concat([...pax, writeBlock(entry)]);
}

/** End of an archive: two blocks of zeros. GNU tar fills up to 10,240 bytes, which nobody needs. */
export function endOfArchive(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

/** Defaults of an entry that runspec itself adds. */
export const EMPTY: PackedEntry = {
  name: '',
  link: '',
  type: '0',
  size: 0,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: '0',
  xattrs: new Map(),
  device: { major: 0, minor: 0 },
};

function recordsOf(entry: PackedEntry): readonly (readonly [string, string])[] {
  const { name, link, size, uid, gid, mtime, xattrs } = entry;
  const records: (readonly [string, string])[] = [...xattrs].map(([key, value]) => [
    `SCHILY.xattr.${key}`,
    value,
  ]);
  if (name.length > MAX_NAME) records.push(['path', name]);
  if (link.length > MAX_NAME) records.push(['linkpath', link]);
  if (size > MAX_SIZE) records.push(['size', String(size)]);
  if (uid > MAX_ID) records.push(['uid', String(uid)]);
  if (gid > MAX_ID) records.push(['gid', String(gid)]);
  // Records hold what octal digits cannot: parts of a second, times before 1970 and after 2242.
  if (!/^\d+$/.test(mtime) || Number(mtime) > MAX_SIZE) records.push(['mtime', mtime]);
  return records.sort(([a], [b]) => (a < b ? -1 : 1));
}

function writeBlock({ name, link, type, size, mode, uid, gid, mtime, device }: PackedEntry): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, digits: number): void => {
    const fits = value >= 0 && value < 8 ** digits;
    block.write((fits ? value : 0).toString(8).padStart(digits, '0'), offset, 'latin1');
  };
  block.write(name.slice(0, MAX_NAME), 0, 'latin1');
  octal(mode, 100, 7);
  octal(uid, 108, 7);
  octal(gid, 116, 7);
  octal(size, 124, 11);
  octal(Math.floor(Number(mtime)), 136, 11);
  block.write(type, 156, 'latin1');
  block.write(link.slice(0, MAX_NAME), 157, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  octal(device.major, 329, 7);
  octal(device.minor, 337, 7);
  return withChecksum(block);
}

// ELF files as a dynamic loader reads them: interpreter, needed libraries, search paths. 32 and 64 bit, both byte
// orders. Never runs the file.
import type { Archives } from '../host/archives.ts';

export interface Elf {
  /** Word size: 32 or 64. */
  readonly bits: number;
  /** e_machine, as 62 for x86-64. */
  readonly machine: number;
  readonly interpreter?: string;
  readonly needed: readonly string[];
  /** DT_RPATH entries; none beside a DT_RUNPATH, as the loader ignores them then, for its libraries too. */
  readonly rpath: readonly string[];
  readonly runpath: readonly string[];
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_STRSZ = 10;
const DT_RPATH = 15;
const DT_RUNPATH = 29;
/** Tags whose value is a place in the table of strings. */
const NAMES: readonly number[] = [DT_NEEDED, DT_RPATH, DT_RUNPATH];
/** Bytes of the longest search path we read whole. */
const NAME_MAX = 16 * 1024;
/** Bytes read of a table at most. Far above what linkers write; a damaged header must not make us read gigabytes. */
const TABLE_MAX = 16 * 2 ** 20;
/** Bytes read first: a page, which holds the program headers and the interpreter's name of nearly every file. */
const START = 4096;

export function isElf(start: Buffer): boolean {
  return (
    start.length >= 20 &&
    start.readUInt32BE(0) === 0x7f454c46 &&
    [1, 2].includes(start[4] ?? 0) &&
    [1, 2].includes(start[5] ?? 0)
  );
}

export type ElfReader = (path: string) => Promise<Elf | undefined>;

/** Reads each file once. Paths must have no symlink in them. */
export function createElfReader(archives: Pick<Archives, 'read'>): ElfReader {
  const known = new Map<string, Promise<Elf | undefined>>();
  return (path) => {
    const reading = known.get(path) ?? readElf(archives, path);
    known.set(path, reading);
    return reading;
  };
}

/** Reads the headers of a file; undefined when it is no ELF file or they make no sense. */
export async function readElf(archives: Pick<Archives, 'read'>, path: string): Promise<Elf | undefined> {
  const start = await archives.read(path, 0, START);
  if (!isElf(start) || start.length < 52) return undefined;
  const wide = start[4] === 2;
  const little = start[5] === 1;
  const number = (buffer: Buffer, at: number, bytes: 2 | 4 | 8): number => {
    if (at + bytes > buffer.length) return 0;
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    if (bytes === 8) return Number(view.getBigUint64(at, little));
    return bytes === 4 ? view.getUint32(at, little) : view.getUint16(at, little);
  };
  const word = wide ? 8 : 4;
  const entrySize = number(start, wide ? 54 : 42, 2);
  const count = number(start, wide ? 56 : 44, 2);
  const part = async (offset: number, wanted: number): Promise<Buffer> => {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(wanted)) return Buffer.alloc(0);
    const length = Math.min(wanted, TABLE_MAX);
    const near = offset + length <= start.length;
    return near ? start.subarray(offset, offset + length) : archives.read(path, offset, length);
  };
  const table = await part(number(start, wide ? 32 : 28, word), entrySize * count);
  const segments: Segment[] = [];
  for (let at = 0; entrySize > 0 && at + entrySize <= table.length; at += entrySize) {
    segments.push({
      type: number(table, at, 4),
      offset: number(table, at + (wide ? 8 : 4), word),
      address: number(table, at + (wide ? 16 : 8), word),
      size: number(table, at + (wide ? 32 : 16), word),
    });
  }
  const contents = async (segment: Segment | undefined): Promise<Buffer> =>
    segment === undefined ? Buffer.alloc(0) : part(segment.offset, segment.size);

  const interpreter = textAt(await contents(segments.find(({ type }) => type === PT_INTERP)), 0);
  const dynamic = await contents(segments.find(({ type }) => type === PT_DYNAMIC));
  const tags: [number, number][] = [];
  for (let at = 0; at + 2 * word <= dynamic.length; at += 2 * word) {
    const tag = number(dynamic, at, word);
    if (tag === 0) break;
    tags.push([tag, number(dynamic, at + word, word)]);
  }
  const value = (wanted: number): number => tags.find(([tag]) => tag === wanted)?.[1] ?? 0;
  const address = value(DT_STRTAB);
  const load = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.size,
  );
  // Only the part of the table of strings with the names asked for: they lie close together, and it may have megabytes.
  const places = tags.filter(([tag]) => NAMES.includes(tag)).map(([, at]) => at);
  const first = Math.min(...places);
  const last = Math.min(Math.max(...places) + NAME_MAX, value(DT_STRSZ));
  const names = await contents(
    load && places.length > 0
      ? { ...load, offset: load.offset + address - load.address + first, size: Math.max(0, last - first) }
      : undefined,
  );
  const texts = (wanted: number): string[] =>
    tags.filter(([tag]) => tag === wanted).map(([, at]) => textAt(names, at - first));
  const paths = (wanted: number): string[] =>
    texts(wanted)
      .flatMap((list) => list.split(':'))
      .filter((part) => part !== '');
  return {
    bits: wide ? 64 : 32,
    machine: number(start, 18, 2),
    ...(interpreter === '' ? {} : { interpreter }),
    needed: texts(DT_NEEDED).filter((name) => name !== ''),
    rpath: tags.some(([tag]) => tag === DT_RUNPATH) ? [] : paths(DT_RPATH),
    runpath: paths(DT_RUNPATH),
  };
}

function textAt(buffer: Buffer, at: number): string {
  const end = buffer.indexOf(0, at);
  return at >= buffer.length ? '' : buffer.toString('utf8', at, end === -1 ? buffer.length : end);
}

// Writes tar archives block by block, lies included: what no honest tool would make.

export interface EntryOptions {
  readonly name: string;
  readonly type?: string;
  readonly link?: string;
  readonly data?: string | Buffer;
  /** Overrides the size that follows from `data`. */
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch. */
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
  readonly magic?: string;
  readonly prefix?: string;
  readonly checksum?: number;
  /** Bytes to put at offsets of the header, before the checksum. */
  readonly patch?: Readonly<Record<number, string>>;
}

export function entry(options: EntryOptions): Buffer {
  const data = typeof options.data === 'object' ? options.data : Buffer.from(options.data ?? '', 'latin1');
  const header = Buffer.alloc(512);
  header.write(options.name, 0, 100, 'latin1');
  header.write(octal(options.mode ?? 0o644, 7), 100);
  header.write(octal(options.uid ?? 0, 7), 108);
  header.write(octal(options.gid ?? 0, 7), 116);
  header.write(octal(options.size ?? data.length, 11), 124);
  header.write(octal(options.mtime ?? 0, 11), 136);
  header.write(options.type ?? '0', 156);
  header.write(options.link ?? '', 157, 100, 'latin1');
  header.write(options.magic ?? 'ustar\u000000', 257, 'latin1');
  header.write(options.prefix ?? '', 345, 155, 'latin1');
  if (options.device !== undefined) {
    for (const [index, number] of options.device.entries()) header.write(octal(number, 7), 329 + 8 * index);
  }
  for (const [offset, bytes] of Object.entries(options.patch ?? {}))
    header.write(bytes, Number(offset), 'latin1');
  header.write('        ', 148);
  const sum = options.checksum ?? header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

function octal(number: number, digits: number): string {
  return number.toString(8).padStart(digits, '0');
}

export function pax(records: Readonly<Record<string, string>>, type = 'x'): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return `${length}${rest}`;
  });
  return entry({ name: 'PaxHeader', type, data: lines.join('') });
}

/** GNU's header for a long name (`L`) or link target (`K`). */
export function long(type: 'L' | 'K', text: string): Buffer {
  return entry({ name: '././@LongLink', type, data: `${text}\0`, magic: 'ustar  \0' });
}

export function archive(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

// DT_RPATH and DT_RUNPATH, as glibc goes by them (elf/dl-load.c, elf/get-dynamic-info.h).
import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { closeOver } from '../../src/image/closure.ts';
import { archives, host, makeScratch } from './scratch.ts';

const HEADER = 64;
const PROGRAM_HEADER = 56;
const TAGS = { needed: 1, rpath: 15, runpath: 29 } as const;

/** An ELF object of x86-64 that has a dynamic section and nothing else. */
function elf(names: Partial<Record<keyof typeof TAGS, string>>): Buffer {
  const given = Object.entries(names) as [keyof typeof TAGS, string][];
  const strings = Buffer.from(`\0${given.map(([, text]) => `${text}\0`).join('')}`);
  const dynamicAt = HEADER + 2 * PROGRAM_HEADER;
  // The names, then DT_STRTAB, DT_STRSZ and DT_NULL.
  const stringsAt = dynamicAt + (given.length + 3) * 16;
  const file = Buffer.concat([Buffer.alloc(stringsAt), strings]);
  const put = (at: number, ...words: readonly number[]): void =>
    words.forEach((word, index) => file.writeBigUInt64LE(BigInt(word), at + 8 * index));
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(3, 16);
  file.writeUInt16LE(62, 18);
  put(32, HEADER);
  file.writeUInt16LE(PROGRAM_HEADER, 54);
  file.writeUInt16LE(2, 56);
  put(HEADER, 1, 0, 0, 0, file.length, file.length);
  put(HEADER + PROGRAM_HEADER, 2, dynamicAt, dynamicAt, dynamicAt, stringsAt - dynamicAt);
  let place = 1;
  given.forEach(([name, text], index) => {
    put(dynamicAt + 16 * index, TAGS[name], place);
    place += text.length + 1;
  });
  put(dynamicAt + 16 * given.length, 5, stringsAt, 10, strings.length);
  return file;
}

describe('the search paths of a program', () => {
  const scratch = makeScratch();
  for (const folder of ['a', 'b']) fs.mkdirSync(`${scratch}/${folder}`);
  fs.writeFileSync(`${scratch}/a/libone.so`, elf({ needed: 'libtwo.so' }));
  fs.writeFileSync(`${scratch}/b/libone.so`, elf({}));
  fs.writeFileSync(`${scratch}/a/libtwo.so`, elf({}));
  const libraries = async (paths: Parameters<typeof elf>[0]): Promise<readonly string[]> => {
    const program = `${scratch}/program`;
    fs.writeFileSync(program, elf({ needed: 'libone.so', ...paths }), { mode: 0o755 });
    const { entries, diagnostics } = await closeOver(
      host,
      archives,
      [program],
      [],
      new AbortController().signal,
    );
    const found = entries.map(({ path }) => `/${path}`).filter((path) => path.endsWith('.so'));
    return [...found.map((path) => path.slice(scratch.length)), ...diagnostics.map(({ message }) => message)];
  };
  const lost = `library libtwo.so, which ${scratch}/a/libone.so needs, was not found on this host`;

  it.each<readonly [string, Parameters<typeof elf>[0], readonly string[]]>([
    ['of DT_RPATH also serve its libraries', { rpath: '$ORIGIN/a' }, ['/a/libone.so', '/a/libtwo.so']],
    ['of DT_RUNPATH are its own', { runpath: '$ORIGIN/a' }, ['/a/libone.so', lost]],
    [
      'of DT_RPATH are void beside a DT_RUNPATH',
      { rpath: '$ORIGIN/a', runpath: '$ORIGIN/b' },
      ['/b/libone.so'],
    ],
    [
      'of DT_RPATH are void beside a DT_RUNPATH for its libraries too',
      { rpath: '$ORIGIN/a', runpath: '$ORIGIN/a' },
      ['/a/libone.so', lost],
    ],
  ])('%s', async (_, paths, expected) => {
    expect(await libraries(paths)).toEqual(expected);
  });
});

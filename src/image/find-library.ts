// Shared libraries, found where a dynamic loader finds them: run paths, /etc/ld.so.cache, built-in folders. Reads only.
import path from 'node:path';
import type { Archives } from '../host/archives.ts';
import type { Host } from '../host/host.ts';
import type { Elf, ElfReader } from './elf.ts';

/** Debian's multiarch folder by e_machine. */
const TRIPLETS: Readonly<Record<number, string>> = {
  3: 'i386-linux-gnu',
  21: 'powerpc64le-linux-gnu',
  22: 's390x-linux-gnu',
  40: 'arm-linux-gnueabihf',
  62: 'x86_64-linux-gnu',
  183: 'aarch64-linux-gnu',
  243: 'riscv64-linux-gnu',
};

export interface LibrarySearch {
  /** The object that needs the library. */
  readonly elf: Elf;
  readonly origin: string;
  /** DT_RPATH of the objects that led to this one, $ORIGIN replaced. */
  readonly inherited: readonly string[];
  /** True for musl, whose loader has no cache, and built-in folders of its own. */
  readonly musl: boolean;
}

export interface FoundLibrary {
  readonly path: string;
  /** True when the loader finds the library by its cache alone. */
  readonly byCache: boolean;
}

export type LibraryFinder = (name: string, search: LibrarySearch) => Promise<FoundLibrary | undefined>;

export function createLibraryFinder(host: Host, archives: Archives, readElf: ElfReader): LibraryFinder {
  let cache: CacheLookup | undefined;
  const read = async (candidate: string): Promise<Elf | undefined> => {
    const real = await host.realPath(candidate);
    if (real === undefined || (await host.status(real))?.type !== 'file') return undefined;
    return readElf(real);
  };
  // Every object needs libc: each candidate is looked up once.
  const known = new Map<string, Promise<Elf | undefined>>();
  const fits = async (candidate: string, { elf }: LibrarySearch): Promise<boolean> => {
    const reading = known.get(candidate) ?? read(candidate);
    known.set(candidate, reading);
    const found = await reading;
    return found !== undefined && found.bits === elf.bits && found.machine === elf.machine;
  };
  return async (name, search) => {
    if (name.includes('/')) return (await fits(name, search)) ? { path: name, byCache: false } : undefined;
    const builtIn = defaultFolders(search);
    cache ??= search.musl ? undefined : await readCache(host, archives);
    const cached = (search.musl ? undefined : cache?.(name)) ?? [];
    const candidates = [
      ...runPaths(search).map((folder) => `${folder}/${name}`),
      ...cached,
      ...builtIn.map((folder) => `${folder}/${name}`),
    ];
    for (const candidate of candidates) {
      if (!(await fits(candidate, search))) continue;
      return {
        path: candidate,
        byCache: cached.includes(candidate) && !builtIn.includes(path.dirname(candidate)),
      };
    }
    return undefined;
  };
}

/** Folders of DT_RUNPATH, else of DT_RPATH and of those of the objects that led to this one. */
export function runPaths({ elf, origin, inherited }: LibrarySearch): readonly string[] {
  const own = elf.runpath.length > 0 ? elf.runpath : elf.rpath;
  const folders = own.map((folder) => folder.replaceAll(/\$ORIGIN\b|\$\{ORIGIN\}/g, path.dirname(origin)));
  return elf.runpath.length > 0 ? folders : [...folders, ...inherited];
}

function defaultFolders({ elf, musl }: LibrarySearch): readonly string[] {
  if (musl) return ['/lib', '/usr/local/lib', '/usr/lib'];
  const triplet = TRIPLETS[elf.machine];
  const multiarch = triplet === undefined ? [] : [`/lib/${triplet}`, `/usr/lib/${triplet}`];
  const plain =
    elf.bits === 64
      ? ['/lib64', '/usr/lib64', '/lib', '/usr/lib']
      : ['/lib', '/usr/lib', '/lib32', '/usr/lib32'];
  return [...multiarch, ...plain];
}

type CacheLookup = (name: string) => readonly string[];

async function readCache(host: Host, archives: Archives): Promise<CacheLookup> {
  const status = await host.status('/etc/ld.so.cache');
  return openCache(
    status?.type === 'file' ? await archives.read('/etc/ld.so.cache', 0, status.size) : Buffer.alloc(0),
  );
}

const CACHE_MAGIC = 'glibc-ld.so.cache1.1';

/** Bytes of the header, and of an entry: flags, name, path, OS version (4 bytes each) and hwcap (8 bytes). */
const CACHE_HEADER = 48;
const CACHE_ENTRY = 24;

/**
 * Looks up paths by library name, in the format of glibc 2.2 and later, alone or behind the old one. Entries for
 * particular CPUs (hwcap not 0) are passed over, because the container may move to another. The bytes are searched for
 * each name, which takes microseconds where a table of all of them takes 3 ms to make.
 */
export function openCache(file: Buffer): CacheLookup {
  const start = file.indexOf(CACHE_MAGIC);
  if (start === -1 || file.length < start + CACHE_HEADER) return () => [];
  const table = file.subarray(
    start + CACHE_HEADER,
    start + CACHE_HEADER + file.readUInt32LE(start + 20) * CACHE_ENTRY,
  );
  const strings = start + CACHE_HEADER + table.length;
  return (name) => {
    const found: { readonly entry: number; readonly path: string }[] = [];
    // The name of one entry may be the end of another one's path.
    for (const place of placesOf(file, Buffer.from(`${name}\0`), strings)) {
      const reference = Buffer.alloc(4);
      reference.writeUInt32LE(place - start);
      for (const at of placesOf(table, reference, 0)) {
        const entry = at - 4;
        if (entry % CACHE_ENTRY !== 0 || table.readBigUInt64LE(entry + 16) !== 0n) continue;
        const path = start + table.readUInt32LE(entry + 8);
        found.push({ entry, path: file.toString('utf8', path, file.indexOf(0, path)) });
      }
    }
    return found.toSorted((a, b) => a.entry - b.entry).map(({ path }) => path);
  };
}

function placesOf(file: Buffer, bytes: Buffer, from: number): readonly number[] {
  const found: number[] = [];
  for (let at = file.indexOf(bytes, from); at !== -1; at = file.indexOf(bytes, at + 1)) found.push(at);
  return found;
}

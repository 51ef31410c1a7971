// Where a dynamic loader finds a shared library: run paths, /etc/ld.so.cache, built-in folders. Reads only.
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
  /** musl's loader knows no cache and other folders. */
  readonly musl: boolean;
}

export interface FoundLibrary {
  readonly path: string;
  /** The loader finds it by its cache alone. */
  readonly byCache: boolean;
}

export type LibraryFinder = (name: string, search: LibrarySearch) => Promise<FoundLibrary | undefined>;

export function createLibraryFinder(host: Host, archives: Archives, readElf: ElfReader): LibraryFinder {
  let cache: ReadonlyMap<string, readonly string[]> | undefined;
  const fits = async (candidate: string, { elf }: LibrarySearch): Promise<boolean> => {
    const real = await host.realPath(candidate);
    if (real === undefined || (await host.status(real))?.type !== 'file') return false;
    const found = await readElf(real);
    return found !== undefined && found.bits === elf.bits && found.machine === elf.machine;
  };
  return async (name, search) => {
    if (name.includes('/')) return (await fits(name, search)) ? { path: name, byCache: false } : undefined;
    const builtIn = defaultFolders(search);
    cache ??= search.musl ? undefined : await readCache(host, archives);
    const cached = (search.musl ? undefined : cache?.get(name)) ?? [];
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

/** DT_RPATH counts only for an object without DT_RUNPATH. */
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

async function readCache(host: Host, archives: Archives): Promise<ReadonlyMap<string, readonly string[]>> {
  const status = await host.status('/etc/ld.so.cache');
  if (status?.type !== 'file') return new Map();
  return parseCache(await archives.read('/etc/ld.so.cache', 0, status.size));
}

const CACHE_MAGIC = 'glibc-ld.so.cache1.1';

/**
 * Paths by library name. The new format of glibc 2.2 and later, alone or behind the old one; entries for
 * particular CPUs (hwcap not 0) are passed over, because the container may move to another.
 */
export function parseCache(file: Buffer): ReadonlyMap<string, readonly string[]> {
  const start = file.indexOf(CACHE_MAGIC);
  const found = new Map<string, string[]>();
  if (start === -1 || file.length < start + 48) return found;
  const count = file.readUInt32LE(start + 20);
  const text = (at: number): string => file.toString('utf8', start + at, file.indexOf(0, start + at));
  // 48 bytes of header, then flags, name, path, OS version (4 bytes each) and hwcap (8 bytes) for each entry.
  for (let entry = 0, at = start + 48; entry < count && at + 24 <= file.length; entry++, at += 24) {
    if (file.readBigUInt64LE(at + 16) !== 0n) continue;
    const name = text(file.readUInt32LE(at + 4));
    found.set(name, [...(found.get(name) ?? []), text(file.readUInt32LE(at + 8))]);
  }
  return found;
}

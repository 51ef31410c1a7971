// The closure of host files: what a root filesystem needs so that the files named by a spec work in it.
// Symlinks stay symlinks, with what they lead to; programs bring loader, libraries and interpreters.
import path from 'node:path';
import type { Diagnostic, SpecPath } from '../errors.ts';
import type { Archives, TreeEntry } from '../host/archives.ts';
import type { FileStatus, Host } from '../host/host.ts';
import { createElfReader, isElf, type ElfReader } from './elf.ts';
import { createLibraryFinder, runPaths, type LibraryFinder } from './find-library.ts';
import { GLIBC_NAME_SERVICES, PROGRAM_NEEDS } from './run-time-needs.ts';

export interface Closure {
  /** Relative to `/`, sorted, parents first; no path leads through a symlink. */
  readonly entries: readonly TreeEntry[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Most files of a closure: a root filesystem of more was not meant. */
const ENTRIES_MAX = 300_000;
const MAX_LINKS = 40;
/** Folders of the kernel and of this boot, which no image holds. */
const NOT_COPIED = /^\/(?:proc|sys|dev|run)(?:\/|$)/;
/** Folders in which `env` looks in a fresh container. */
const PROGRAM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** Folders merged into /usr on most hosts; scripts count on the short names. */
const MERGED = ['/bin', '/sbin', '/lib', '/lib64'];

export async function closeOver(
  host: Host,
  archives: Archives,
  files: readonly string[],
  specPath: SpecPath,
  signal: AbortSignal,
): Promise<Closure> {
  const walker = new ClosureWalker(host, archives, signal);
  const diagnostics: Diagnostic[] = [];
  for (const [index, file] of files.entries()) {
    const problems = await walker.takeNamed(file);
    for (const { code, message, hint } of problems) {
      diagnostics.push({ code, severity: 'error', message, hint, path: [...specPath, index] });
    }
  }
  await walker.takeMerged();
  const entries = [...walker.entries.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return { entries, diagnostics };
}

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** State of one closure while it is collected. */
class ClosureWalker {
  readonly entries = new Map<string, TreeEntry>();
  readonly #opened = new Set<string>();
  readonly #host: Host;
  readonly #archives: Archives;
  readonly #readElf: ElfReader;
  readonly #find: LibraryFinder;
  readonly #signal: AbortSignal;
  #problems: Problem[] = [];

  constructor(host: Host, archives: Archives, signal: AbortSignal) {
    this.#host = host;
    this.#archives = archives;
    this.#readElf = createElfReader(archives);
    this.#find = createLibraryFinder(host, archives, this.#readElf);
    this.#signal = signal;
  }

  /** Takes a path that the spec names, and returns its problems. */
  async takeNamed(file: string): Promise<readonly Problem[]> {
    this.#problems = [];
    const real = await this.#host.realPath(file);
    if (real === undefined) {
      const hint = 'check the path, or install the package that brings it';
      return [{ code: 'missing-host-file', message: `${file} does not exist on this host`, hint }];
    }
    if (real === '/' || NOT_COPIED.test(real)) {
      const hint = 'name the programs and folders you need; the container gets its own /proc, /sys and /dev';
      return [{ code: 'invalid-host-file', message: `${file} cannot be part of a root filesystem`, hint }];
    }
    const { type } = (await this.#host.status(real)) ?? {};
    if (type !== 'file' && type !== 'directory') {
      const hint = 'name files and folders; give devices with `devices`, sockets with `mounts`';
      return [{ code: 'invalid-host-file', message: `${file} is a ${type}`, hint }];
    }
    await this.#take(file, true);
    return this.#problems;
  }

  async takeMerged(): Promise<void> {
    for (const folder of MERGED) {
      if ((await this.#host.status(folder))?.type === 'symlink') await this.#include(folder);
    }
  }

  /** @param strict missing files are a problem, because the spec asked for them. */
  async #take(file: string, strict: boolean): Promise<void> {
    this.#signal.throwIfAborted();
    const found = await this.#include(file);
    if (found === undefined || this.#opened.has(found.path)) return;
    this.#opened.add(found.path);
    if (found.status.type === 'file') await this.#open(found.path, found.status, [], strict);
    if (found.status.type === 'directory') await this.#takeFolder(found.path);
  }

  /** Adds a path, with the folders and symlinks on the way; returns where it ends. */
  async #include(file: string): Promise<{ readonly path: string; readonly status: FileStatus } | undefined> {
    const todo = file.split('/');
    let current = '';
    let links = 0;
    for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        current = current === '' ? '' : current.slice(0, current.lastIndexOf('/'));
        continue;
      }
      const next = `${current}/${name}`;
      if (NOT_COPIED.test(next)) return undefined;
      const known = this.entries.get(next);
      const status = known?.status ?? (await this.#host.status(next));
      if (status === undefined) return undefined;
      if (status.type !== 'symlink') {
        this.#add(next, status);
        current = next;
        continue;
      }
      const target = known?.target ?? (await this.#host.readLink(next));
      this.#add(next, status, target);
      if (++links > MAX_LINKS) return undefined;
      if (target.startsWith('/')) current = '';
      todo.unshift(...target.split('/'));
    }
    const entry = this.entries.get(current);
    return entry === undefined ? undefined : { path: current, status: entry.status };
  }

  #add(file: string, status: FileStatus, target?: string): void {
    // Sockets and devices are of no use without the program that made them.
    if (!['file', 'directory', 'symlink', 'fifo'].includes(status.type) || this.entries.has(file)) return;
    this.entries.set(file, { path: file.slice(1), status, ...(target === undefined ? {} : { target }) });
    if (this.entries.size === ENTRIES_MAX) {
      const hint = 'name the folders you need; for a whole system use rootfs.directory';
      this.#problems.push({ code: 'too-many-files', message: `more than ${ENTRIES_MAX} files`, hint });
    }
  }

  async #takeFolder(folder: string): Promise<void> {
    for (const { path: below, status, target } of await this.#archives.walk(folder, this.#signal)) {
      if (this.entries.size >= ENTRIES_MAX) return;
      const file = below === '.' ? folder : `${folder}/${below}`;
      this.#add(file, status, target);
      if (status.type === 'symlink') await this.#take(file, false);
      else if (status.type === 'file' && !this.#opened.has(file)) {
        this.#opened.add(file);
        const runs = (status.mode & 0o111) !== 0 || file.includes('.so');
        if (runs) await this.#open(file, status, [], false);
      } else if (status.type === 'directory') this.#opened.add(file);
    }
  }

  /** Adds the files that a program, script or library needs. */
  async #open(
    file: string,
    status: FileStatus,
    inherited: readonly string[],
    strict: boolean,
  ): Promise<void> {
    if (status.size < 4) return;
    const start = await this.#archives.read(file, 0, 256);
    if (isElf(start)) await this.#openElf(file, inherited, strict);
    else if (start.toString('latin1', 0, 2) === '#!')
      await this.#openScript(file, start.toString('utf8'), strict);
  }

  async #openElf(file: string, inherited: readonly string[], strict: boolean): Promise<void> {
    const elf = await this.#readElf(file);
    if (elf === undefined) return;
    if (elf.interpreter !== undefined) await this.#require(elf.interpreter, file, strict);
    const { trees = [], folders = [] } = PROGRAM_NEEDS[path.basename(file)] ?? {};
    for (const tree of trees) await this.#take(tree, false);
    for (const folder of folders) await this.#include(folder);
    const musl = [elf.interpreter ?? '', ...elf.needed].some((name) => /(?:ld|libc)[.-]musl-/.test(name));
    const search = { elf, origin: file, inherited, musl };
    for (const name of elf.needed) {
      const found = await this.#find(name, search);
      if (found === undefined) {
        this.#miss(`library ${name}, which ${file} needs,`, strict);
        continue;
      }
      // The container's loader needs the cache as well for a library outside of the built-in folders.
      if (found.byCache) await this.#include('/etc/ld.so.cache');
      await this.#openLibrary(found.path, runPaths({ ...search, elf: { ...elf, runpath: [] } }), strict);
      if (name !== 'libc.so.6') continue;
      for (const service of GLIBC_NAME_SERVICES)
        await this.#take(path.join(path.dirname(found.path), service), false);
    }
  }

  async #openLibrary(file: string, inherited: readonly string[], strict: boolean): Promise<void> {
    const found = await this.#include(file);
    if (found === undefined || this.#opened.has(found.path)) return;
    this.#opened.add(found.path);
    await this.#open(found.path, found.status, inherited, strict);
  }

  async #openScript(file: string, text: string, strict: boolean): Promise<void> {
    const [interpreter, argument] = text.slice(2).split('\n')[0]?.trim().split(/\s+/) ?? [];
    if (interpreter === undefined || !interpreter.startsWith('/')) return;
    await this.#require(interpreter, file, strict);
    if (path.basename(interpreter) !== 'env' || argument === undefined || argument.startsWith('-')) return;
    for (const folder of PROGRAM_FOLDERS) {
      if ((await this.#host.realPath(`${folder}/${argument}`)) === undefined) continue;
      await this.#take(`${folder}/${argument}`, strict);
      return;
    }
    this.#miss(`program ${argument}, which ${file} runs under,`, strict);
  }

  async #require(needed: string, file: string, strict: boolean): Promise<void> {
    if ((await this.#host.realPath(needed)) !== undefined) await this.#take(needed, strict);
    else this.#miss(`${needed}, which ${file} runs under,`, strict);
  }

  #miss(what: string, strict: boolean): void {
    if (!strict) return;
    const hint = 'install the package that brings it; the file does not run on this host either';
    this.#problems.push({ code: 'missing-library', message: `${what} was not found on this host`, hint });
  }
}
